"""torchvision's bottleneck as a block of its own, for stages and branches that are added to a backbone."""

from torch import nn
from torchvision.models.resnet import Bottleneck


def bottleneck(
    in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1, project: bool = False
) -> Bottleneck:
    """A bottleneck (He et al., ResNet, Figure 5; its stride is in the 3x3 convolution).

    Maps `(N, in_channels, H, W)` to `(N, out_channels, ceil(H / stride), ceil(W / stride))`; its inner width
    is `out_channels // 4`. The shortcut is a 1x1 convolution with BN where the shape changes, or with
    `project`. Initialised as torchvision's ResNet. `ValueError` where 4 does not divide `out_channels`.
    """
    if out_channels % Bottleneck.expansion:
        raise ValueError(f"a bottleneck of {out_channels} channels; they are a multiple of 4")
    shortcut = None
    if project or stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    block = Bottleneck(
        in_channels, out_channels // Bottleneck.expansion, stride, downsample=shortcut, dilation=dilation
    )
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return block
