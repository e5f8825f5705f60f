"""Options that the detectors share and what follows from them; no torch, so that a planner can ask.

The defaults are torchvision's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline_src.errors import InputError
from pipeline_src.options import Bounds, Fraction, Level, PositiveFloat, PositiveInt, option

EXTRA_LEVELS = {"none": 0, "pool": 1, "p6p7": 2}
"""Maps that an FPN adds above its last level, each of twice the stride of the one before."""

LEVELS = (
    "Levels of the pyramid under the FPN, in rising order: level n + 1 is stage n's output, whose "
    "nominal stride is 2**(n + 1)."
)
EXTRA = (
    "Maps above the FPN's last: `pool` takes every second pixel of it, `p6p7` two convolutions of stride 2, "
    "`none`."
)


def check_ious(positive: float, negative: float) -> None:
    """Refuse a negative IoU above the positive one (`ValueError`)."""
    if negative > positive:
        raise ValueError(f"negative_iou {negative:g} is above positive_iou {positive:g}; use at most that")


@dataclass(frozen=True)
class AnchorOptions:
    """Anchors of every FPN map: sides of `scale * stride * 2**(i / octaves)` pixels, `i` below `octaves`."""

    scale: PositiveFloat = option(8.0, "Side of the smallest anchor, in strides of its map.")
    octaves: PositiveInt = option(
        1, "Anchor sizes per map, spaced evenly (on a logarithmic scale) over one octave."
    )
    ratios: list[PositiveFloat] = option(
        [0.5, 1.0, 2.0], "Height / width of the anchors, at equal area.", min_length=1
    )
    strides: Literal["inferred", "nominal"] = option(
        "inferred",
        "Distance of neighbouring anchors: `inferred` from the sizes of image and map, as in "
        "torchvision, which is off where the stride does not divide the padded image; or the map's "
        "`nominal` stride.",
    )


@dataclass(frozen=True)
class RetinaAnchorOptions(AnchorOptions):
    """Anchors of every FPN map, as dense as RetinaNet's."""

    scale: PositiveFloat = option(4.0, "Side of the smallest anchor, in strides of its map.")
    octaves: PositiveInt = option(
        3, "Anchor sizes per map, spaced evenly (on a logarithmic scale) over one octave."
    )


@dataclass(frozen=True)
class ProposalOptions:
    """Region proposal network."""

    pre_nms_train: PositiveInt = option(2000, "Boxes per level before NMS, in training.")
    post_nms_train: PositiveInt = option(2000, "Proposals per image, in training.")
    pre_nms_test: PositiveInt = option(1000, "Boxes per level before NMS, in evaluation.", used="inference")
    post_nms_test: PositiveInt = option(1000, "Proposals per image, in evaluation.", used="inference")
    nms_iou: Fraction = option(0.7, "IoU from which NMS drops the lower of two boxes.")
    positive_iou: Fraction = option(0.7, "IoU from which an anchor is positive.")
    negative_iou: Fraction = option(0.3, "IoU below which an anchor is negative.")
    samples: PositiveInt = option(256, "Anchors per image in the losses.")
    positive_fraction: Fraction = option(0.5, "At most this share of them is positive.")

    def __post_init__(self) -> None:
        check_ious(self.positive_iou, self.negative_iou)


@dataclass(frozen=True)
class RoiOptions:
    """Second stage: pooling of the proposals' regions, and the layers on them.

    A box of side `b` is pooled from level 4 + log2(b / 224), rounded down (Lin et al., FPN, equation 1), or
    the nearest of `levels`.
    """

    levels: list[Level] = option(
        [2, 3, 4, 5], "FPN levels that regions are pooled from, without a gap.", min_length=1
    )
    size: PositiveInt = option(7, "Side of the pooled region.")
    sampling_ratio: PositiveInt = option(2, "RoIAlign's samples per bin and axis.")
    channels: PositiveInt = option(1024, "Width of the two fully connected layers.")
    samples: PositiveInt = option(512, "Proposals per image in the losses.")
    positive_fraction: Fraction = option(0.25, "At most this share of them is positive.")


@dataclass(frozen=True)
class DetectionOptions:
    """Which detections of an image remain."""

    score: Fraction = option(0.05, "Detections at or below this score are dropped.")
    nms_iou: Fraction = option(0.5, "IoU above which NMS drops the lower of two boxes of a class.")
    detections: PositiveInt = option(100, "Detections per image, the best ones.")


@dataclass(frozen=True)
class DetectorOptions:
    """What all detectors have."""

    fpn_channels: PositiveInt = option(256, "Channels of the FPN and of the heads on it.")
    frozen_stages: Annotated[int, Bounds(ge=0, le=4)] | None = option(
        1,
        "Stages of the backbone that do not learn: 0 is the stem alone, 1 adds stage 1, and so on; "
        "null: none.",
    )
    frozen_norm: bool = option(
        True, "Fix every BN of the backbone, affine values included; BN that a pyramid adds learns."
    )
    test: DetectionOptions = option(
        DetectionOptions(),
        "Which detections of an image remain, in evaluation. Validation during training, for the curves, "
        "keeps to the defaults, so that other values train nothing again.",
        used="choice",
    )
    levels: list[Level] = option([2, 3, 4, 5], LEVELS, min_length=1)
    extra: Literal["none", "pool", "p6p7"] = option("pool", EXTRA)


@dataclass(frozen=True)
class RegionDetectorOptions(DetectorOptions):
    """What detectors with region proposals have."""

    anchors: AnchorOptions = option(AnchorOptions(), "Anchors of the proposals.")
    proposals: ProposalOptions = option(ProposalOptions(), "Region proposal network.")
    roi: RoiOptions = option(RoiOptions(), "Pooling of the proposals' regions, and the layers on them.")


def fpn_strides(strides: Sequence[int], extra: str) -> list[int]:
    """Strides of an FPN's maps on maps of `strides`, those of its `extra` levels included."""
    return [*strides, *(strides[-1] * 2 ** (index + 1) for index in range(EXTRA_LEVELS[extra]))]


def anchor_sizes(strides: Sequence[int], scale: float, octaves: int) -> tuple[tuple[int, ...], ...]:
    """Sides in pixels of the square anchors of maps of `strides`, whole as torchvision's."""
    return tuple(
        tuple(int(scale * stride * 2 ** (index / octaves)) for index in range(octaves)) for stride in strides
    )


def check_levels(levels: Sequence[int], available: Collection[int], key: str = "levels") -> None:
    """Refuse levels that are not rising or that the pyramid does not give (`InputError` naming `key`)."""
    if not levels or sorted(set(levels)) != list(levels):
        raise InputError(f"{key}: {list(levels)}; it needs at least one level, each once and in rising order")
    for level in levels:
        if level not in available:
            raise InputError(f"{key}: {level}: the pyramid has {', '.join(map(str, sorted(available)))}")


def check_roi_levels(roi_levels: Sequence[int], levels: Sequence[int], key: str = "roi.levels") -> None:
    """Refuse levels to pool from that the FPN lacks or that have a gap (`InputError` naming `key`)."""
    check_levels(roi_levels, levels, key)
    if list(roi_levels) != list(range(roi_levels[0], roi_levels[-1] + 1)):
        raise InputError(f"{key}: {list(roi_levels)} has a gap; a box's size tells the level to pool it from")


def frozen_parts(
    freezable: Sequence[Sequence[str]], stages: int | None, key: str = "frozen_stages"
) -> list[str]:
    """Parts of the timm network that are frozen: none for null, the stem for 0, and stages 1 to `stages`.

    `freezable` are those of the backbone's family, stem first. Raises `InputError` naming `key` for a family
    whose parts are not known and for other numbers.
    """
    if stages is None:
        return []
    if not freezable:
        raise InputError(f"{key}: {stages}: the parts of this backbone's family are not known; use null")
    if not 0 <= stages < len(freezable):
        raise InputError(f"{key}: {stages}; use null for none, or 0 (the stem) to {len(freezable) - 1}")
    return [part for stage in freezable[: stages + 1] for part in stage]
