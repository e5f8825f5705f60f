"""UPer head as MMSegmentation defines it (Xiao et al., UPerNet, section 3.1, for one task)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU, resize_bilinear
from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.decoders.pyramid_pooling import PyramidPooling
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat
from pipeline_src.models.fusion.merge_place import MergePlace
from pipeline_src.options import Fraction, Level, PositiveInt, checked, option

LEVELS = (2, 3, 4, 5)


@dataclass(frozen=True)
class UPerOptions:
    """Unified perceptual parsing head, for segmentation alone."""

    pool_scales: list[PositiveInt] = option(
        [1, 2, 3, 6], "Sides of the grids that the last level is pooled to.", min_length=1
    )
    levels: list[Level] = option(
        list(LEVELS),
        "Levels that it reads, without a gap up to level 5; that one alone gives a head of one coarse map.",
        min_length=1,
    )
    channels: PositiveInt = option(512, "Channels of every convolution.")
    dropout: Fraction = option(0.1, DROPOUT)
    align_corners: bool = option(False, ALIGN_CORNERS)

    def __post_init__(self) -> None:
        if self.levels != list(LEVELS)[-len(self.levels) :]:
            raise ValueError(f"levels {self.levels}; use rising levels without a gap up to {LEVELS[-1]}")


class UPerHead(DecodeHead):
    """Pyramid pooling on level 5, an FPN down to level 2, a fusion of all four levels, a classifier.

    Levels 2 to 4 enter by 1x1 convolutions, are merged with the upsampled level above (summed, unless a run
    has merges), and pass a 3x3 convolution; the pooled level 5 passes unchanged. All are upsampled to level
    2, concatenated and fused by 3x3. `levels`: 2 to 5, or without the finer of them. `channels`: of every
    convolution. `dropout`: rate on whole channels.
    Raises `InputError` for pool scales that cannot be built.
    """

    Options = UPerOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(UPerOptions, **options)
        channels, align_corners = chosen.channels, chosen.align_corners
        *finer, top = in_channels
        if len(in_channels) != len(chosen.levels):
            raise ValueError(f"{len(in_channels)} levels of channels, expected those of {chosen.levels}")
        self.levels = list(chosen.levels)
        self.align_corners = align_corners
        self.ppm = PyramidPooling(top, channels, chosen.pool_scales, align_corners=align_corners)
        self.laterals = nn.ModuleList(ConvBNReLU(width, channels, 1) for width in finer)
        units = [ConvBNReLU(channels, channels, 3) for _ in finer]
        self.fpn_convs = nn.ModuleList(units)
        self.concat = FusedConcat(
            [channels] * len(self.levels),
            names=[f"level {level}" for level in self.levels],
            align_corners=align_corners,
        )
        self.fusion = ConvBNReLU(self.concat.out_channels, channels, 3)
        # no unit for the top level: its map feeds the levels below too
        self.concat.connect([(self.fusion.convolution, 0)], [*units, None])
        self._end_with(channels, num_classes, chosen.dropout)

    @staticmethod
    def needed_levels(options: UPerOptions) -> list[int]:
        """Those of the options."""
        return list(options.levels)

    @staticmethod
    def concatenations(options: UPerOptions) -> list[Concatenation]:
        """That of the pooling module and that of the four levels.

        The paper equalises the latter and does not mention the former.
        """
        return [Concatenation("ppm.concat", 1, default=False), Concatenation("concat", 2)]

    @staticmethod
    def merge_places(options: UPerOptions) -> list[MergePlace]:
        """The steps of the top-down path, behind the pooling module and before the fusion."""
        steps = len(options.levels) - 1
        return [MergePlace(options.channels, 2 - (step + 1) / (steps + 1)) for step in range(steps)]

    @staticmethod
    def pools_to_one_cell(options: UPerOptions) -> bool:
        """With a grid of one cell."""
        return 1 in options.pool_scales

    def input_convolutions(self, level: int) -> list[Consumer]:
        """Of level 5 those of the pyramid pooling, of levels 2 to 4 the lateral convolution."""
        if level == LEVELS[-1]:
            return self.ppm.input_convolutions()
        lateral = self.laterals[self.levels.index(level)] if level in self.levels else None
        return [(lateral.convolution, 0)] if isinstance(lateral, ConvBNReLU) else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of the first of the maps, that of level 2."""
        *finer, top = features
        x = self.ppm(top)
        outputs = [x]
        # top-down path, from level 4 to level 2
        steps = list(zip(finer, self.laterals, self.fpn_convs, strict=True))
        for place, (raw, lateral, conv) in reversed(list(enumerate(steps))):
            above = resize_bilinear(x, (raw.shape[-2], raw.shape[-1]), self.align_corners)
            x = self._merge(place, lateral(raw), above)
            outputs.insert(0, conv(x))
        size = (features[0].shape[-2], features[0].shape[-1])
        return self._classify(self.fusion(self.concat(outputs, size)))
