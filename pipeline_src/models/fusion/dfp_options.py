"""What a Deep Feature Pyramid can be built from; no torch, so that a planner can ask.

A network with five down-samplings by 2 is split by `depth`: the last `depth` of them lie in the
multi-scale part, depth 5 splits before the first (a classic image pyramid),
depth 0 behind the last (no pyramid).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.segments import Segment
from pipeline_src.options import REQUIRED, Bounds, PositiveFloat, option

SPLITS = ("before_downsampling", "after_downsampling")
DOWNSAMPLINGS = 5
SIMPLE = 1024
"""Scales of such a denominator, as 0.75, are multiplied without rounding."""


@dataclass(frozen=True)
class DFPOptions:
    """Deep Feature Pyramid.

    The end of the network runs on its own feature map at several scales, and the results are fused.
    """

    depth: Annotated[int, Bounds(ge=0, le=5)] = option(
        REQUIRED,
        "How many of the backbone's last down-samplings lie in the multi-scale part: 5 is the "
        "classic image pyramid, 0 is one scale; see `encoder_at_depth_0`.",
    )
    scales: list[PositiveFloat] = option(
        [1.0, 0.75, 0.5], "Factors by which the map at the split is resized.", min_length=1
    )
    split: Literal["before_downsampling", "after_downsampling"] = option(
        "before_downsampling",
        "Where the multi-scale part begins when several positions fit `depth`: immediately "
        "before its first down-sampling, or immediately after the last one outside it.",
    )
    encoder: Literal["shared", "per_branch"] = option(
        "shared", "Whether all branches share one encoder or each has its own."
    )
    encoder_at_depth_0: bool = option(
        True,
        "At depth 0, compress the network's last level by an encoder as at the other depths, so "
        "that only the pyramid differs; false: depth 0 is the network as it is.",
    )
    fusion: Literal["concat", "sum"] = option("concat", "How the encoded branches become one map.")
    align_corners: bool = option(False, "Whether corner pixels keep their place in the upsampling before it.")


def check_depth(depth: int, stem_stride: int, key: str = "depth") -> None:
    """Refuse a depth that is not 1 to 5 or that would split inside the stem (`InputError` naming `key`)."""
    allowed = [
        value
        for value in range(1, DOWNSAMPLINGS + 1)
        if 2 ** (DOWNSAMPLINGS - value) not in range(2, stem_stride)
    ]
    if depth not in allowed:
        reason = (
            f"a stem that strides by {stem_stride} cannot be split" if depth == 4 else "not a depth of DFP"
        )
        raise InputError(
            f"{key}: {depth}: {reason}; allowed: {', '.join(map(str, allowed))}, or 0 for no pyramid"
        )


def check_scales(scales: Sequence[float], key: str = "scales") -> None:
    """Refuse an empty list and scales that are not positive numbers (`InputError` naming `key`)."""
    if not scales or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        raise InputError(f"{key}: {list(scales)}; it needs at least one scale, each a number above 0")


def split_index(segments: Sequence[Segment], depth: int, split: str = "before_downsampling") -> int:
    """Index of the first segment of the multi-scale part, which at depth 0 is empty.

    `before_downsampling`: immediately before the first of the last `depth` down-samplings (ResNet at
    depth 3: after layer1). `after_downsampling`: immediately after the down-sampling before it (ResNet at
    depth 3: after maxpool, so that layer1 is in the multi-scale part). A dilated stage counts with its
    nominal down-sampling. `InputError` for a depth that would split a segment.
    """
    if split not in SPLITS:
        raise InputError(f"split: {split!r}; allowed: {', '.join(SPLITS)}")
    if depth == 0:
        return len(segments)
    check_depth(depth, segments[0].factor)
    nominal = 1
    first = {}
    for index, segment in enumerate(segments):
        if segment.factor > 1:
            first[nominal] = index
        nominal *= segment.factor
    before = first.get(2 ** (DOWNSAMPLINGS - depth))
    if before is None:
        raise InputError(
            f"depth: {depth}: the backbone ends at stride {nominal}, before its multi-scale part"
        )
    if split == "before_downsampling":
        return before
    while before > 0 and segments[before - 1].factor == 1:
        before -= 1
    return before


def first_fused_level(depth: int, split: str = "before_downsampling") -> int:
    """The finest level of the multi-scale part: all from it on are fused over the scales; at depth 0 none.

    Level `l` ends after `l` down-samplings by 2. Only at depth 3 is there a stage (ResNet's layer1, which
    ends level 2) between two down-samplings, which `after_downsampling` puts into the multi-scale part.
    """
    return 2 if depth == 3 and split == "after_downsampling" else DOWNSAMPLINGS + 1 - depth


def scaled_side(side: int, scale: float, minimum: int = 1) -> int:
    """`side * scale` pixels, halves rounded up, and at least `minimum`."""
    above, below = float(scale).as_integer_ratio()
    if below <= SIMPLE:  # the same in whole numbers, which an exported program can compute for any size
        return max(minimum, (2 * side * above + below) // (2 * below))
    return max(minimum, math.floor(side * scale + 0.5))
