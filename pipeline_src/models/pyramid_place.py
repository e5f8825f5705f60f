"""Where a pyramid stands in a network, as planning knows it; no torch."""

from dataclasses import dataclass
from typing import Annotated

from pipeline_src.options import Bounds

BACKBONE_LEVELS = (2, 3, 4, 5)
"""The levels that every backbone has, of nominal strides 4 to 32."""

Levels = Annotated[list[int], Bounds(min_length=1)]
"""Some of the levels of a pyramid, from fine to coarse."""


@dataclass(frozen=True)
class PyramidPlace:
    """Where planning puts a pyramid: `backbone` (its key), the stride of that one's stem, the levels read."""

    backbone: str
    stem_stride: int
    read: tuple[int, ...]
