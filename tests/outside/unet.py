"""A decoder of a user's own: a U-Net's upward path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from widths import WIDTH

from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat
from pipeline_src.options import PositiveInt, checked, option

LEVELS = [2, 3, 4, 5]


@dataclass(frozen=True)
class UNetOptions:
    """A U-Net's upward path."""

    channels: PositiveInt = option(WIDTH, "Channels of every convolution.")


class UNetHead(DecodeHead):
    """From level 5 down to level 2: upsample, concatenate with the finer map, convolve 3x3."""

    Options = UNetOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        width = checked(UNetOptions, **options).channels
        *finer, top = in_channels
        self.top = ConvBNReLU(top, width, 1)
        self.concats, self.convs = nn.ModuleDict(), nn.ModuleDict()
        for level, channels in zip(LEVELS, finer, strict=False):
            concat = FusedConcat([channels, width], names=[f"level {level}", "above"])
            conv = ConvBNReLU(concat.out_channels, width, 3)
            self.concats[str(level)] = concat.connect([(conv.convolution, 0)])
            self.convs[str(level)] = conv
        self._end_with(width, num_classes, 0.0)

    @staticmethod
    def needed_levels(options: UNetOptions) -> list[int]:
        """Levels 2 to 5."""
        return LEVELS

    @staticmethod
    def concatenations(options: UNetOptions) -> list[Concatenation]:
        """One at every finer level, from coarse to fine."""
        return [Concatenation(f"concats.{level}", 6 - level) for level in reversed(LEVELS[:-1])]

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The convolution behind the concatenation, or the top one."""
        unit = self.top if level == LEVELS[-1] else self.convs[str(level)]
        return [(unit.convolution, 0)]

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of level 2."""
        *finer, top = features
        x = self.top(top)
        for level, raw in reversed(list(zip(LEVELS, finer, strict=False))):
            size = (raw.shape[-2], raw.shape[-1])
            x = self.convs[str(level)](self.concats[str(level)]([raw, x], size))
        return self._classify(x)
