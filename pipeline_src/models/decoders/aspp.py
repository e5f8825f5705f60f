"""ASPP head as MMSegmentation defines it: atrous pyramid pooling on the last level (DeepLabV3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline_src.models.decoders.atrous_pooling import ASPP
from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer
from pipeline_src.options import Fraction, PositiveInt, checked, option


@dataclass(frozen=True)
class ASPPOptions:
    """Atrous spatial pyramid pooling head."""

    dilations: list[PositiveInt] = option(
        [1, 12, 24, 36], "Rates of the 3x3 convolutions; 1 is a 1x1 convolution.", min_length=1
    )
    channels: PositiveInt = option(512, "Channels of each branch and of the fusion.")
    dropout: Fraction = option(0.1, DROPOUT)
    align_corners: bool = option(False, ALIGN_CORNERS)


class ASPPHead(DecodeHead):
    """Atrous spatial pyramid pooling with a 3x3 fusion, a 1x1 classifier; reads level 5.

    `dilations`: rates of its convolutions, 1 being a 1x1. `channels`: of each branch and of the fusion.
    Raises `InputError` for dilations that cannot be built.
    """

    Options = ASPPOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(ASPPOptions, **options)
        channels, align_corners = chosen.channels, chosen.align_corners
        (raw,) = in_channels
        self.align_corners = align_corners
        self.aspp = ASPP(raw, channels, chosen.dilations, align_corners=align_corners)
        self._end_with(channels, num_classes, chosen.dropout)

    @staticmethod
    def needed_levels(options: ASPPOptions) -> list[int]:
        """Level 5, whatever the options."""
        return [5]

    @staticmethod
    def concatenations(options: ASPPOptions) -> list[Concatenation]:
        """That of the image pool and the rates."""
        return [Concatenation("aspp.concat", 1)]

    @staticmethod
    def pools_to_one_cell(options: ASPPOptions) -> bool:
        """Always, for its image pool."""
        return True

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The first convolution of each branch."""
        return self.aspp.input_convolutions() if level == 5 else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` of the one map `(N, C, H, W)`, at its size."""
        (raw,) = features
        return self._classify(self.aspp(raw))
