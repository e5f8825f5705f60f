"""Building blocks that several models share: convolution-BN-ReLU, norm over channels, bilinear resize."""

import torch.nn.functional as F
from torch import Tensor, nn


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, BN, ReLU; keeps the size `(N, C, H, W)` at stride 1.

    Initialised as MMSegmentation's ConvModule: Kaiming normal over the fan out, BN at 1 and 0.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        padding = dilation * (kernel_size // 2)
        convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False
        )
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of `(N, C, H, W)`; weight 1 and bias 0 at the start."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` `(N, C, H, W)`; the result has the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def resize_bilinear(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Resize `(N, C, H, W)` to `(N, C, *size)` bilinearly, without antialiasing; at that size `x` itself."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
