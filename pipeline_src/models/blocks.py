"""Building blocks that several models share: convolution-BN-ReLU, norm over channels, bilinear resize."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, BN, ReLU; keeps the size `(N, C, H, W)` at stride 1.

    Initialised as MMSegmentation's ConvModule: Kaiming normal over the fan out, BN at 1 and 0.
    `groups`: of the convolution; `in_channels` of them make it depthwise.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1, groups: int = 1
    ) -> None:
        padding = dilation * (kernel_size // 2)
        convolution = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    @property
    def convolution(self) -> nn.Conv2d:
        """The convolution, whose weight is `(out_channels, in_channels // groups, k, k)`."""
        return cast(nn.Conv2d, self[0])


class SeparableConvBNReLU(nn.Sequential):
    """Depthwise then 1x1 convolution, each with BN and ReLU; keeps the size `(N, C, H, W)`.

    As MMSegmentation's DepthwiseSeparableConvModule (there is a BN and a ReLU between the two).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__(
            ConvBNReLU(in_channels, in_channels, kernel_size, dilation, groups=in_channels),
            ConvBNReLU(in_channels, out_channels, 1),
        )

    @property
    def depthwise(self) -> ConvBNReLU:
        """The unit that reads the input."""
        return cast(ConvBNReLU, self[0])

    @property
    def pointwise(self) -> ConvBNReLU:
        """The unit that makes the output."""
        return cast(ConvBNReLU, self[1])


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of `(N, C, H, W)`; weight 1 and bias 0 at the start."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` `(N, C, H, W)`; the result has the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def resize_bilinear(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Resize `(N, C, H, W)` to `(N, C, *size)` bilinearly, without antialiasing; at that size `x` itself."""
    # an exported program is for many sizes, and may not branch on whether two of them are equal
    if not torch.compiler.is_exporting() and tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
