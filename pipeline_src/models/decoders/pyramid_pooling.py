"""Pyramid pooling module (Zhao et al., PSPNet, section 3.2), shared by the PSP and the UPer head."""

from collections.abc import Sequence

from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat


class PyramidPooling(nn.Module):
    """Average-pool a map to several grids, compress each by 1x1, concatenate with the map, fuse by 3x3.

    `pool_scales`: side of each grid. `channels`: of each compressed grid and of the result. The branches
    of `concat` are the raw map ("input") and the grids ("pool 1", ...), upsampled to the map's size.
    """

    def __init__(
        self, in_channels: int, channels: int, pool_scales: Sequence[int], *, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(scale) for scale in pool_scales)
        units = [ConvBNReLU(in_channels, channels, 1) for _ in pool_scales]
        self.convs = nn.ModuleList(units)
        self.concat = FusedConcat(
            [in_channels] + [channels] * len(units),
            names=["input", *(f"pool {scale}" for scale in pool_scales)],
            align_corners=align_corners,
        )
        self.fusion = ConvBNReLU(self.concat.out_channels, channels, 3)
        self.concat.connect([(self.fusion.convolution, 0)], [None, *units])

    def input_convolutions(self) -> list[Consumer]:
        """The convolutions that read the map linearly, each with the map's first input channel."""
        units = [unit for unit in self.convs if isinstance(unit, ConvBNReLU)]
        return [(self.fusion.convolution, 0), *((unit.convolution, 0) for unit in units)]

    def forward(self, x: Tensor) -> Tensor:
        """`(N, channels, H, W)` of a map `x` `(N, in_channels, H, W)`."""
        pooled = [conv(pool(x)) for pool, conv in zip(self.pools, self.convs, strict=True)]
        # a grid may be larger than the map, so the size is not the largest branch's
        return self.fusion(self.concat([x, *pooled], (x.shape[-2], x.shape[-1])))
