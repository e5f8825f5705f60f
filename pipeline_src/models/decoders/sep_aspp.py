"""Depthwise separable ASPP head as MMSegmentation defines it (Chen et al., DeepLabV3+, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline_src.models.blocks import ConvBNReLU, SeparableConvBNReLU
from pipeline_src.models.decoders.atrous_pooling import ASPP
from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat
from pipeline_src.options import Fraction, PositiveInt, checked, option


@dataclass(frozen=True)
class SepASPPOptions:
    """Depthwise separable ASPP head."""

    dilations: list[PositiveInt] = option(
        [1, 12, 24, 36], "Rates of the separable 3x3 convolutions; 1 is a plain 1x1.", min_length=1
    )
    c1_channels: PositiveInt = option(48, "Channels that level 2 is compressed to.")
    channels: PositiveInt = option(512, "Channels of each branch and of the fusions.")
    dropout: Fraction = option(0.1, DROPOUT)
    align_corners: bool = option(False, ALIGN_CORNERS)


class DepthwiseSeparableASPPHead(DecodeHead):
    """Separable ASPP on level 5, upsampled, concatenated with a compressed level 2, two separable 3x3.

    `dilations`: rates of the ASPP, 1 being a 1x1. `channels`: of the ASPP's branches, its fusion and the
    last convolutions. `c1_channels`: of the compressed level 2. `dropout`: rate on whole channels.
    Raises `InputError` for dilations that cannot be built.
    """

    Options = SepASPPOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(SepASPPOptions, **options)
        channels, align_corners = chosen.channels, chosen.align_corners
        fine, coarse = in_channels
        self.align_corners = align_corners
        self.aspp = ASPP(coarse, channels, chosen.dilations, separable=True, align_corners=align_corners)
        self.compress = ConvBNReLU(fine, chosen.c1_channels, 1)
        self.concat = FusedConcat(
            [channels, chosen.c1_channels], names=["aspp", "level 2"], align_corners=align_corners
        )
        self.fusion = SeparableConvBNReLU(self.concat.out_channels, channels, 3)
        self.refine = SeparableConvBNReLU(channels, channels, 3)
        self.concat.connect([(self.fusion.depthwise.convolution, 0)], [self.aspp.fusion, self.compress])
        self._end_with(channels, num_classes, chosen.dropout)

    @staticmethod
    def needed_levels(options: SepASPPOptions) -> list[int]:
        """Levels 2 and 5, whatever the options."""
        return [2, 5]

    @staticmethod
    def concatenations(options: SepASPPOptions) -> list[Concatenation]:
        """That of the ASPP and that with level 2.

        The fusion convolution of the second is depthwise with a BN of its own, so that an equalizer does
        nothing there (up to the BN's eps).
        """
        return [Concatenation("aspp.concat", 1), Concatenation("concat", 2, default=False)]

    @staticmethod
    def pools_to_one_cell(options: SepASPPOptions) -> bool:
        """Always, for its image pool."""
        return True

    def input_convolutions(self, level: int) -> list[Consumer]:
        """Of level 5 the first convolution of each branch of the ASPP, of level 2 the compressing one."""
        if level == 2:
            return [(self.compress.convolution, 0)]
        return self.aspp.input_convolutions() if level == 5 else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of level 2, the first of the two maps."""
        fine, coarse = features
        fused = self.concat([self.aspp(coarse), self.compress(fine)], (fine.shape[-2], fine.shape[-1]))
        return self._classify(self.refine(self.fusion(fused)))
