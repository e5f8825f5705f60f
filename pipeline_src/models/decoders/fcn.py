"""FCN head as MMSegmentation defines it; without convolutions it is a 1x1 classifier, as DFP uses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pipeline_src.models.blocks import ConvBNReLU
from pipeline_src.models.decoders.head import ALIGN_CORNERS, DROPOUT, DecodeHead
from pipeline_src.models.fusion.concat_place import Concatenation
from pipeline_src.models.fusion.fused_concat import Consumer, FusedConcat
from pipeline_src.options import Fraction, Level, NonNegativeInt, checked, option


@dataclass(frozen=True)
class FCNOptions:
    """Fully convolutional head."""

    num_convs: NonNegativeInt = option(
        2, "3x3 convolutions before the classifier; 0 is the classifier alone."
    )
    channels: NonNegativeInt = option(512, "Channels of these convolutions.")
    concat_input: bool = option(True, "Concatenate the head's input with its convolutions' output.")
    dropout: Fraction = option(0.1, DROPOUT)
    level: Level = option(5, "Level that the head reads.")
    align_corners: bool = option(False, ALIGN_CORNERS)

    def __post_init__(self) -> None:
        if self.num_convs and not self.channels:
            raise ValueError(f"{self.num_convs} convolutions need channels above 0")
        if self.concat_input and not self.num_convs:
            raise ValueError("concat_input needs num_convs above 0: without them there is nothing to add")


@dataclass(frozen=True)
class AuxiliaryFCNOptions(FCNOptions):
    """FCN head on an inner level whose loss helps training; it does not run in inference."""

    level: Level = option(4, "Level that the head reads.")
    num_convs: NonNegativeInt = option(
        1, "3x3 convolutions before the classifier; 0 is the classifier alone."
    )
    channels: NonNegativeInt = option(256, "Channels of these convolutions.")
    concat_input: bool = option(False, "Concatenate the head's input with its convolutions' output.")


class FCNHead(DecodeHead):
    """`num_convs` 3x3 convolutions, an optional concatenation with the input, a 1x1 classifier.

    `in_channels` is that of the one map that it reads, which is that of `level`. `channels`: width of the
    convolutions, of no meaning without any. `concat_input`: concatenate the raw map with the convolved
    one and fuse by one more 3x3 convolution.
    """

    Options = FCNOptions
    Auxiliary = AuxiliaryFCNOptions

    def __init__(self, in_channels: Sequence[int], num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes)
        chosen = checked(FCNOptions, **options)
        num_convs, channels, align_corners = chosen.num_convs, chosen.channels, chosen.align_corners
        (raw,) = in_channels
        width = channels if num_convs else raw
        self.level = chosen.level
        self.align_corners = align_corners
        units = [ConvBNReLU(width if index else raw, width, 3) for index in range(num_convs)]
        self.convs = nn.Sequential(*units)
        self.concat: FusedConcat | None = None
        self.conv_cat: ConvBNReLU | None = None
        if chosen.concat_input:
            self.concat = FusedConcat([raw, width], names=["input", "convs"], align_corners=align_corners)
            self.conv_cat = ConvBNReLU(raw + width, width, 3)
            self.concat.connect([(self.conv_cat.convolution, 0)], [None, units[-1]])
        self._end_with(width, num_classes, chosen.dropout)
        self._readers = [units[0].convolution if units else self.classifier]
        if self.conv_cat is not None:
            self._readers.append(self.conv_cat.convolution)

    @staticmethod
    def needed_levels(options: FCNOptions) -> list[int]:
        """The level that the options name."""
        return [options.level]

    @staticmethod
    def concatenations(options: FCNOptions) -> list[Concatenation]:
        """That of the input and the convolutions' output."""
        return [Concatenation("concat", 1)] if options.concat_input else []

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The first convolution (or the classifier alone) and the one after the concatenation."""
        return [(convolution, 0) for convolution in self._readers] if level == self.level else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` of the one map `(N, C, H, W)`, at its size."""
        (raw,) = features
        convolved = self.convs(raw)
        if self.concat is not None and self.conv_cat is not None:
            convolved = self.conv_cat(self.concat([raw, convolved]))
        return self._classify(convolved)
