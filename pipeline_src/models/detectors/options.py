"""Settings of the detectors and what follows from them; no torch, so that a planner can ask.

The defaults are those of the references: torchvision's for Faster R-CNN and RetinaNet, Cai and
Vasconcelos' for Cascade R-CNN.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_src.errors import InputError

EXTRA_LEVELS = {"none": 0, "pool": 1, "p6p7": 2}
"""Maps that an FPN adds above its last level, each of twice the stride of the one before."""

ANCHOR_STRIDES = ("inferred", "nominal")

FREEZABLE_PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "resnet": (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",)),
    "convnext": (("stem",), ("stages.0",), ("stages.1",), ("stages.2",), ("stages.3",)),
    "swin": (("patch_embed",), ("layers.0",), ("layers.1",), ("layers.2",), ("layers.3",)),
    "twins": (
        ("patch_embeds.0",),
        ("blocks.0", "pos_block.0"),
        ("patch_embeds.1", "blocks.1", "pos_block.1"),
        ("patch_embeds.2", "blocks.2", "pos_block.2"),
        ("patch_embeds.3", "blocks.3", "pos_block.3"),
    ),
    "mobilenetv2": (
        ("conv_stem", "bn1", "blocks.0"),
        ("blocks.1",),
        ("blocks.2",),
        ("blocks.3", "blocks.4"),
        ("blocks.5", "blocks.6"),
    ),
}
"""Of each family the parts of the timm network that make the stem and stages 1 to 4.

Stage `n` ends level `n + 1`, as in a ResNet, whose layer1 ends level 2.
"""


@dataclass(frozen=True)
class AnchorOptions:
    """Anchors of a map of stride `s`: sides of `scale * s * 2**(i / octaves)` pixels, `i` below `octaves`.

    Each comes in all `ratios` (height / width) at the same area. `strides`, the distance between the anchors
    of neighbouring cells: `inferred` divides the padded image by the map, as torchvision does, which is off
    where the map's stride does not divide the image; `nominal` takes the map's stride.
    """

    scale: float = 8.0
    octaves: int = 1
    ratios: Sequence[float] = (0.5, 1.0, 2.0)
    strides: str = "inferred"


@dataclass(frozen=True)
class ProposalOptions:
    """The region proposal network: boxes kept, per level before NMS and per image after it; its training.

    An anchor is positive from `positive_iou` on and negative below `negative_iou`; `samples` of them per
    image, at most `positive_fraction` of them positive, make its losses.
    """

    pre_nms_train: int = 2000
    post_nms_train: int = 2000
    pre_nms_test: int = 1000
    post_nms_test: int = 1000
    nms_iou: float = 0.7
    positive_iou: float = 0.7
    negative_iou: float = 0.3
    samples: int = 256
    positive_fraction: float = 0.5


@dataclass(frozen=True)
class RoiOptions:
    """Second stage: the `levels` that regions are pooled from, to `size` x `size`; two layers of `channels`.

    A box of side `b` is pooled from level 4 + log2(b / 224), rounded down (Lin et al., FPN, equation 1), or
    the nearest of `levels`. In training `samples` boxes per image, at most `positive_fraction` positive.
    """

    levels: Sequence[int] = (2, 3, 4, 5)
    size: int = 7
    sampling_ratio: int = 2
    channels: int = 1024
    samples: int = 512
    positive_fraction: float = 0.25


@dataclass(frozen=True)
class CascadeStageOptions:
    """One stage of a cascade: positive from `iou` on, weight of its losses, weights of its box coder.

    The box coder's weights are the inverse of the standard deviations by which x, y, width and height of
    the regression targets are divided: 10 is a deviation of 0.1.
    """

    iou: float
    loss_weight: float
    box_weights: Sequence[float]


CASCADE_STAGES = (
    CascadeStageOptions(iou=0.5, loss_weight=1.0, box_weights=(10.0, 10.0, 5.0, 5.0)),
    CascadeStageOptions(iou=0.6, loss_weight=0.5, box_weights=(20.0, 20.0, 10.0, 10.0)),
    CascadeStageOptions(iou=0.7, loss_weight=0.25, box_weights=(30.0, 30.0, 15.0, 15.0)),
)
"""Cai and Vasconcelos, Cascade R-CNN: IoU 0.5, 0.6, 0.7, with ever finer regression targets."""


@dataclass(frozen=True)
class DetectionOptions:
    """Which detections remain: above `score`, after NMS per class at `nms_iou`, the best `detections`."""

    score: float = 0.05
    nms_iou: float = 0.5
    detections: int = 100


def fpn_strides(strides: Sequence[int], extra: str) -> list[int]:
    """Strides of an FPN's maps on maps of `strides`, those of its `extra` levels included."""
    return [*strides, *(strides[-1] * 2 ** (index + 1) for index in range(EXTRA_LEVELS[extra]))]


def anchor_sizes(strides: Sequence[int], scale: float, octaves: int) -> tuple[tuple[int, ...], ...]:
    """Sides in pixels of the square anchors of maps of `strides`, whole as torchvision's."""
    return tuple(
        tuple(int(scale * stride * 2 ** (index / octaves)) for index in range(octaves)) for stride in strides
    )


def check_levels(levels: Sequence[int], available: Collection[int], key: str = "detector.levels") -> None:
    """Refuse levels that are not rising or that the pyramid does not give (`InputError` naming `key`)."""
    if not levels or sorted(set(levels)) != list(levels):
        raise InputError(f"{key}: {list(levels)}; it needs at least one level, each once and in rising order")
    for level in levels:
        if level not in available:
            raise InputError(f"{key}: {level}: the pyramid has {', '.join(map(str, sorted(available)))}")


def check_roi_levels(
    roi_levels: Sequence[int], levels: Sequence[int], key: str = "detector.roi.levels"
) -> None:
    """Refuse levels to pool from that the FPN lacks or that have a gap (`InputError` naming `key`)."""
    check_levels(roi_levels, levels, key)
    if list(roi_levels) != list(range(roi_levels[0], roi_levels[-1] + 1)):
        raise InputError(f"{key}: {list(roi_levels)} has a gap; a box's size tells the level to pool it from")


def frozen_parts(family: str, stages: int | None, key: str = "detector.frozen_stages") -> list[str]:
    """Parts of the timm network that are frozen: none for null, the stem for 0, and stages 1 to `stages`.

    Raises `InputError` naming `key` for a family whose parts are not known and for other numbers.
    """
    if stages is None:
        return []
    if family not in FREEZABLE_PARTS:
        raise InputError(
            f"{key}: {stages} for family {family!r}; known: {', '.join(FREEZABLE_PARTS)}, or null"
        )
    parts = FREEZABLE_PARTS[family]
    if not 0 <= stages < len(parts):
        raise InputError(f"{key}: {stages}; use null for none, or 0 (the stem) to {len(parts) - 1}")
    return [part for stage in parts[: stages + 1] for part in stage]


def check_detector(section: Mapping[str, Any], available: Collection[int], family: str) -> None:
    """Refuse a `detector` section that a pyramid of `available` levels cannot carry (`InputError`)."""
    check_levels(section["levels"], available)
    if "roi" in section:
        check_roi_levels(section["roi"]["levels"], section["levels"])
    frozen_parts(family, section["frozen_stages"])
