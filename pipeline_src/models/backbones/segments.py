"""A backbone as a sequence of segments: what a pyramid needs to know to run it partly.

Pure arithmetic, no torch. Every segment takes and gives maps `(N, C, H, W)`; one that
down-samples by `factor` gives `ceil(size / factor)` pixels per side.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """One step of a backbone that is never split.

    `factor`: nominal down-sampling (1, 2, or 4 for a patch stem); a dilated stage keeps its nominal factor.
    `dilated`: the factor is realised by dilation, so the map keeps its size.
    `level`, `channels`: the feature level that ends here and its channels, None where none does.
    `minimum`: the smallest side of its output map on which the segment works.
    """

    name: str
    factor: int = 1
    dilated: bool = False
    level: int | None = None
    channels: int | None = None
    minimum: int = 1


def minimum_side(segments: Sequence[Segment]) -> int:
    """The smallest side of an input map from which all `segments` in a row give a valid map."""
    side = 1
    for segment in reversed(segments):
        side = max(side, segment.minimum)
        if not segment.dilated:
            side = segment.factor * (side - 1) + 1
    return side


def strides_after(segments: Sequence[Segment]) -> list[int]:
    """The real stride after each segment, relative to the input of the first."""
    strides = []
    stride = 1
    for segment in segments:
        stride *= 1 if segment.dilated else segment.factor
        strides.append(stride)
    return strides


def patch_stages(
    channels: Sequence[int], output_stride: int = 32, minimums: Sequence[int] | None = None
) -> list[Segment]:
    """Segments of a hierarchical network: a stem of patches of 4, then stages that end levels 2, 3, ...

    Every stage but the first starts with a down-sampling by 2; `minimums` are per stage.
    """
    segments = [Segment("stem", factor=4)]
    for stage, width in enumerate(channels):
        level = stage + 2
        segments.append(
            Segment(
                f"stage{stage + 1}",
                factor=2 if stage else 1,
                dilated=2**level > output_stride,
                level=level,
                channels=width,
                minimum=minimums[stage] if minimums else 1,
            )
        )
    return segments
