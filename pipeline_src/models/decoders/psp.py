"""PSP head as MMSegmentation defines it: pyramid pooling on the last level (Zhao et al., PSPNet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.decoders.pyramid_pooling import PyramidPooling
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer
from pipeline_src.options import Fraction, PositiveInt, checked, option


@dataclass(frozen=True)
class PSPOptions:
    """Pyramid scene parsing head."""

    pool_scales: list[PositiveInt] = option(
        [1, 2, 3, 6], "Sides of the grids that the map is pooled to.", min_length=1
    )
    channels: PositiveInt = option(512, "Channels of each grid and of the fusion.")
    dropout: Fraction = option(0.1, DROPOUT)
    align_corners: bool = option(False, ALIGN_CORNERS)


class PSPHead(DecodeHead):
    """Pyramid pooling with a 3x3 fusion, a 1x1 classifier; reads level 5.

    `channels`: of each pooled branch and of the fusion. `dropout`: rate on whole channels.
    Raises `InputError` for pool scales that cannot be built.
    """

    Options = PSPOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(PSPOptions, **options)
        channels, align_corners = chosen.channels, chosen.align_corners
        (raw,) = in_channels
        self.align_corners = align_corners
        self.ppm = PyramidPooling(raw, channels, chosen.pool_scales, align_corners=align_corners)
        self._end_with(channels, num_classes, chosen.dropout)

    @staticmethod
    def needed_levels(options: PSPOptions) -> list[int]:
        """Level 5, whatever the options."""
        return [5]

    @staticmethod
    def concatenations(options: PSPOptions) -> list[Concatenation]:
        """That of the map and the pooled grids."""
        return [Concatenation("ppm.concat", 1)]

    @staticmethod
    def pools_to_one_cell(options: PSPOptions) -> bool:
        """With a grid of one cell."""
        return 1 in options.pool_scales

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The compressing convolutions and the fusion, in which the raw map comes first."""
        return self.ppm.input_convolutions() if level == 5 else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` of the one map `(N, C, H, W)`, at its size."""
        (raw,) = features
        return self._classify(self.ppm(raw))
