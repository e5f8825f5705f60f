"""What an IPG-Net (Liu et al., section 3) can be built from; no torch, so that a planner can ask.

Stage `s` of a network ends feature level `s + 1`: stage 1 ends C2, of stride 4. A backbone has stages 1 to
4; stages 5 to 7 may follow (section 3.4). Image `i` of the image pyramid guides stage `i + 1` (section 3.3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import Segment
from pipeline_src.options import Bounds, PositiveInt, option

FUSIONS = ("sum", "product", "concat")
BACKBONE_STAGES = 4
MOST_STAGES = 7
IMAGES = 4
"""Images of the pyramid unless every stage has one."""
STEM_CHANNELS = 64


@dataclass(frozen=True)
class IPGOptions:
    """Image Pyramid Guidance.

    Shrunken copies of the image are fed into chosen stages, to bring detail back that deep features lost.
    """

    fusion: Literal["sum", "product", "concat"] = option(
        "sum", "How an image's feature is fused into a stage's (section 3.5)."
    )
    positions: list[Annotated[int, Bounds(ge=1, le=7)]] | None = option(
        None,
        "Stages after which it is fused, any set of them, [] for none; stage 1 ends level 2. "
        "null: all from 2 on that have an image (Eq. 1).",
    )
    levels: Literal[4, "stages"] = option(
        4, "Images of the pyramid: 4, for stages 1 to 4, or one for each of the `stages`."
    )
    identity_start: bool = option(
        True,
        "Begin as the identity on the backbone's features: exactly for `sum` and `concat`, by a "
        "trained scalar that begins at 0 for `product`. false: random weights, as printed.",
    )
    stages: Annotated[int, Bounds(ge=4, le=7)] = option(
        4, "Stages of the network; those beyond 4 have two bottlenecks each."
    )
    keep: bool = option(False, "Stages 5 to 7 hold the stride of stage 4, with dilation 2.")
    image_channels: PositiveInt | None = option(
        None,
        "The paper's C1: stage s gets a feature of C1 * 2^(s - 1) channels; null: stage 1's "
        "channels, 256 for a ResNet-50.",
    )
    stem_channels: PositiveInt = option(STEM_CHANNELS, "Channels of the 7x7 convolution on each image.")
    extra_channels: PositiveInt | None = option(
        None, "Channels of stages 5 to 7; null: stage 4's, 2048 for a ResNet-50."
    )


def check_fusion(fusion: str, key: str = "fusion") -> None:
    """Refuse an unknown fusion (`InputError` naming `key`)."""
    if fusion not in FUSIONS:
        raise InputError(f"{key}: {fusion!r}; allowed: {', '.join(FUSIONS)}")


def check_stages(stages: int, keep: bool, prefix: str = "") -> None:
    """Refuse a number of stages that is not 4 to 7, and `keep` without stages that it could hold."""
    if not BACKBONE_STAGES <= stages <= MOST_STAGES:
        raise InputError(f"{prefix}stages: {stages}; allowed: {BACKBONE_STAGES} to {MOST_STAGES}")
    if keep and stages == BACKBONE_STAGES:
        raise InputError(
            f"{prefix}keep: true holds the stride of stages 5 to 7, and stages is 4; use false or more stages"
        )


def check_width(channels: int | None, key: str) -> None:
    """Refuse channels that a bottleneck cannot have, None excepted (`InputError` naming `key`)."""
    if channels is not None and channels % 4:
        raise InputError(f"{key}: {channels}; a bottleneck's channels are a multiple of 4")


def guided_stages(
    positions: Sequence[int] | None, stages: int, levels: int | str = IMAGES, prefix: str = ""
) -> list[int]:
    """The stages after which an image is fused, in order.

    `positions` None: every stage from 2 on that has an image (Eq. 1). `levels`: 4 images, for stages 1 to
    4, or `stages`, one for each. Raises `InputError` for a stage that has no image or stands twice.
    """
    if levels not in (IMAGES, "stages"):
        raise InputError(f"{prefix}levels: {levels!r}; allowed: {IMAGES}, stages")
    last = stages if levels == "stages" else min(IMAGES, stages)
    if positions is None:
        return list(range(2, last + 1))
    for position in positions:
        if last < position <= stages:
            raise InputError(
                f"{prefix}positions: stage {position} has no image, since the image pyramid has {IMAGES} "
                f"levels; use stages 1 to {IMAGES}, or levels: stages"
            )
        if not 1 <= position <= stages:
            raise InputError(f"{prefix}positions: {position} is no stage; the network has 1 to {stages}")
        if list(positions).count(position) > 1:
            raise InputError(f"{prefix}positions: stage {position} stands twice")
    return sorted(positions)


def check_reach(positions: Sequence[int], stages: int, last_level: int, prefix: str = "") -> None:
    """Refuse extra stages and fusions behind `last_level`, the coarsest that is read (`InputError`)."""
    if stages > BACKBONE_STAGES and stages + 1 > last_level:
        raise InputError(
            f"{prefix}stages: {stages} end with level {stages + 1}, and nothing reads a level above "
            f"{last_level}; use {max(BACKBONE_STAGES, last_level - 1)}"
        )
    if positions and positions[-1] + 1 > last_level:
        raise InputError(
            f"{prefix}positions: stage {positions[-1]} ends level {positions[-1] + 1}, and nothing reads a "
            f"level above {last_level}; use stages 1 to {last_level - 1}"
        )


def extra_segments(stages: int, keep: bool, channels: int) -> list[Segment]:
    """The stages behind the backbone's; `keep` holds their stride by dilation."""
    return [
        Segment(f"stage{stage}", factor=2, dilated=keep, level=stage + 1, channels=channels)
        for stage in range(BACKBONE_STAGES + 1, stages + 1)
    ]


def resolve_ipg(options: Mapping[str, Any], last_level: int, prefix: str = "") -> dict[str, Any] | None:
    """The options of an IPG-Net with its fusion positions; None where it is the backbone alone.

    What has no effect takes its default, so that trainings that are the same are one. `last_level`: the
    coarsest level that a head reads. Raises `InputError` naming the key below `prefix`.
    """
    stages = options["stages"]
    check_fusion(options["fusion"], f"{prefix}fusion")
    check_stages(stages, options["keep"], prefix)
    for key in ("image_channels", "extra_channels"):
        check_width(options[key], f"{prefix}{key}")
    positions = guided_stages(options["positions"], stages, options["levels"], prefix)
    check_reach(positions, stages, last_level, prefix)
    if not positions and stages == BACKBONE_STAGES:
        return None
    beyond = bool(positions) and positions[-1] > IMAGES
    resolved = {**options, "positions": positions, "levels": "stages" if beyond else IMAGES}
    if not positions:
        unused = {"fusion": "sum", "identity_start": True, "image_channels": None}
        resolved |= {**unused, "stem_channels": STEM_CHANNELS}
    if stages == BACKBONE_STAGES:
        resolved["extra_channels"] = None
    return resolved
