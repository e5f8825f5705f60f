"""UPer head as MMSegmentation defines it (Xiao et al., UPerNet, section 3.1, for one task)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.decoders.pyramid_pooling import PyramidPooling
from pipeline_src.models.fusion.concat import Consumer, FusedConcat
from pipeline_src.models.layers import ConvBNReLU, resize_bilinear

LEVELS = (2, 3, 4, 5)


class UPerHead(DecodeHead):
    """Pyramid pooling on level 5, an FPN down to level 2, a fusion of all four levels, a classifier.

    Levels 2 to 4 enter by 1x1 convolutions, are summed with the upsampled level above, and pass a 3x3
    convolution; the pooled level 5 passes unchanged. All are upsampled to level 2, concatenated and fused
    by 3x3. `channels`: of every convolution. `dropout`: rate on whole channels.
    Raises `InputError` for pool scales that cannot be built.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        channels: int = 512,
        dropout: float = 0.1,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        *finer, top = in_channels
        if len(in_channels) != len(LEVELS):
            raise ValueError(f"{len(in_channels)} levels of channels, expected those of levels {LEVELS}")
        self.align_corners = align_corners
        self.ppm = PyramidPooling(top, channels, pool_scales, align_corners=align_corners)
        self.laterals = nn.ModuleList(ConvBNReLU(width, channels, 1) for width in finer)
        units = [ConvBNReLU(channels, channels, 3) for _ in finer]
        self.fpn_convs = nn.ModuleList(units)
        self.concat = FusedConcat(
            [channels] * len(LEVELS),
            names=[f"level {level}" for level in LEVELS],
            align_corners=align_corners,
        )
        self.fusion = ConvBNReLU(self.concat.out_channels, channels, 3)
        # no unit for the top level: its map feeds the levels below too
        self.concat.connect([(self.fusion.convolution, 0)], [*units, None])
        self._end_with(channels, num_classes, dropout)

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """Levels 2 to 5, whatever the options."""
        return list(LEVELS)

    def input_convolutions(self, level: int) -> list[Consumer]:
        """Of level 5 those of the pyramid pooling, of levels 2 to 4 the lateral convolution."""
        if level == LEVELS[-1]:
            return self.ppm.input_convolutions()
        lateral = self.laterals[LEVELS.index(level)] if level in LEVELS else None
        return [(lateral.convolution, 0)] if isinstance(lateral, ConvBNReLU) else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of level 2, the first of the four maps."""
        *finer, top = features
        x = self.ppm(top)
        outputs = [x]
        # top-down path, from level 4 to level 2
        steps = list(zip(finer, self.laterals, self.fpn_convs, strict=True))
        for raw, lateral, conv in reversed(steps):
            x = lateral(raw) + resize_bilinear(x, (raw.shape[-2], raw.shape[-1]), self.align_corners)
            outputs.insert(0, conv(x))
        size = (finer[0].shape[-2], finer[0].shape[-1])
        return self._classify(self.fusion(self.concat(outputs, size)))
