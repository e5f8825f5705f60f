"""A merge from outside: the mean of both maps, after a 1x1 convolution on the upper one."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pipeline_src.models.fusion.merge import PairwiseMerge
from pipeline_src.options import PositiveFloat, checked, option


@dataclass(frozen=True)
class HalvesOptions:
    """The mean of both maps."""

    share: PositiveFloat = option(0.5, "Share of the lateral map.")


class Halves(PairwiseMerge):
    """`share` of the lateral map and the rest of a convolution of the one above."""

    Options = HalvesOptions

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__(channels)
        self.share = checked(HalvesOptions, **options).share
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, lateral: Tensor, above: Tensor) -> Tensor:
        """Both, weighted."""
        return self.share * lateral + (1 - self.share) * self.project(above)
