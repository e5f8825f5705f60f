"""UPer head as MMSegmentation defines it (Xiao et al., UPerNet, section 3.1, for one task)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU, resize_bilinear
from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.decoders.pyramid_pooling import PyramidPooling
from pipeline_src.models.fusion.concat import Consumer, FusedConcat
from pipeline_src.models.fusion.concatenation import Concatenation
from pipeline_src.options import Fraction, PositiveInt, checked, option

LEVELS = (2, 3, 4, 5)


@dataclass(frozen=True)
class UPerOptions:
    """Unified perceptual parsing head, for segmentation alone."""

    pool_scales: list[PositiveInt] = option(
        [1, 2, 3, 6], "Sides of the grids that the last level is pooled to.", min_length=1
    )
    channels: PositiveInt = option(512, "Channels of every convolution.")
    dropout: Fraction = option(0.1, DROPOUT)
    align_corners: bool = option(False, ALIGN_CORNERS)


class UPerHead(DecodeHead):
    """Pyramid pooling on level 5, an FPN down to level 2, a fusion of all four levels, a classifier.

    Levels 2 to 4 enter by 1x1 convolutions, are summed with the upsampled level above, and pass a 3x3
    convolution; the pooled level 5 passes unchanged. All are upsampled to level 2, concatenated and fused
    by 3x3. `channels`: of every convolution. `dropout`: rate on whole channels.
    Raises `InputError` for pool scales that cannot be built.
    """

    Options = UPerOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(UPerOptions, **options)
        channels, align_corners = chosen.channels, chosen.align_corners
        *finer, top = in_channels
        if len(in_channels) != len(LEVELS):
            raise ValueError(f"{len(in_channels)} levels of channels, expected those of levels {LEVELS}")
        self.align_corners = align_corners
        self.ppm = PyramidPooling(top, channels, chosen.pool_scales, align_corners=align_corners)
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
        self._end_with(channels, num_classes, chosen.dropout)

    @staticmethod
    def needed_levels(options: UPerOptions) -> list[int]:
        """Levels 2 to 5, whatever the options."""
        return list(LEVELS)

    @staticmethod
    def concatenations(options: UPerOptions) -> list[Concatenation]:
        """That of the pooling module and that of the four levels.

        The paper equalises the latter and does not mention the former.
        """
        return [Concatenation("ppm.concat", 1, default=False), Concatenation("concat", 2)]

    @staticmethod
    def pools_to_one_cell(options: UPerOptions) -> bool:
        """With a grid of one cell."""
        return 1 in options.pool_scales

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
