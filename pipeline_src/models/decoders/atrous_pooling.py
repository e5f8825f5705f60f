"""Atrous spatial pyramid pooling (Chen et al., DeepLabV3, section 3.3; V3+ makes it separable)."""

from collections.abc import Sequence

from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU, SeparableConvBNReLU
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat


class ASPP(nn.Module):
    """Image pooling and convolutions of several rates side by side, concatenated and fused by 3x3.

    `dilations`: a 3x3 convolution of each rate; rate 1 is a 1x1 convolution. `separable`: those of
    other rates are depthwise separable. `channels`: of each branch and of the result. The branches of
    `concat` are "image pool" (global average, 1x1 convolution) and "rate 1", ... in this order.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilations: Sequence[int],
        *,
        separable: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        first = last = ConvBNReLU(in_channels, channels, 1)
        branches: list[nn.Module] = [nn.Sequential(nn.AdaptiveAvgPool2d(1), first)]
        self._readers = [first.convolution]
        units: list[ConvBNReLU | None] = [last]
        for dilation in dilations:
            if dilation > 1 and separable:
                pair = SeparableConvBNReLU(in_channels, channels, 3, dilation)
                branches.append(pair)
                first, last = pair.depthwise, pair.pointwise
            else:
                first = last = ConvBNReLU(in_channels, channels, 1 if dilation == 1 else 3, dilation)
                branches.append(last)
            self._readers.append(first.convolution)
            units.append(last)
        self.branches = nn.ModuleList(branches)
        self.concat = FusedConcat(
            [channels] * len(branches),
            names=["image pool", *(f"rate {dilation}" for dilation in dilations)],
            align_corners=align_corners,
        )
        self.fusion = ConvBNReLU(self.concat.out_channels, channels, 3)
        self.concat.connect([(self.fusion.convolution, 0)], units)

    def input_convolutions(self) -> list[Consumer]:
        """The convolutions that read the map linearly, each with the map's first input channel."""
        return [(convolution, 0) for convolution in self._readers]

    def forward(self, x: Tensor) -> Tensor:
        """`(N, channels, H, W)` of a map `x` `(N, in_channels, H, W)`."""
        branches = [branch(x) for branch in self.branches]
        return self.fusion(self.concat(branches, (x.shape[-2], x.shape[-1])))
