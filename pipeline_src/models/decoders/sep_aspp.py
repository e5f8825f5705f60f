"""Depthwise separable ASPP head as MMSegmentation defines it (Chen et al., DeepLabV3+, section 3.1)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pipeline_src.models.decoders.atrous_pooling import ASPP
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.fusion.concat import Consumer, FusedConcat
from pipeline_src.models.layers import ConvBNReLU, SeparableConvBNReLU


class DepthwiseSeparableASPPHead(DecodeHead):
    """Separable ASPP on level 5, upsampled, concatenated with a compressed level 2, two separable 3x3.

    `dilations`: rates of the ASPP, 1 being a 1x1. `channels`: of the ASPP's branches, its fusion and the
    last convolutions. `c1_channels`: of the compressed level 2. `dropout`: rate on whole channels.
    Raises `InputError` for dilations that cannot be built.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        dilations: Sequence[int] = (1, 12, 24, 36),
        c1_channels: int = 48,
        channels: int = 512,
        dropout: float = 0.1,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        fine, coarse = in_channels
        self.align_corners = align_corners
        self.aspp = ASPP(coarse, channels, dilations, separable=True, align_corners=align_corners)
        self.compress = ConvBNReLU(fine, c1_channels, 1)
        self.concat = FusedConcat(
            [channels, c1_channels], names=["aspp", "level 2"], align_corners=align_corners
        )
        self.fusion = SeparableConvBNReLU(self.concat.out_channels, channels, 3)
        self.refine = SeparableConvBNReLU(channels, channels, 3)
        self.concat.connect([(self.fusion.depthwise.convolution, 0)], [self.aspp.fusion, self.compress])
        self._end_with(channels, num_classes, dropout)

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """Levels 2 and 5, whatever the options."""
        return [2, 5]

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
