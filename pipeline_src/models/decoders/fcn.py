"""FCN head as MMSegmentation defines it; without convolutions it is a 1x1 classifier, as DFP uses it."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.fusion.concat import Consumer, FusedConcat
from pipeline_src.models.layers import ConvBNReLU


class FCNHead(DecodeHead):
    """`num_convs` 3x3 convolutions, an optional concatenation with the input, a 1x1 classifier.

    `in_channels` is that of the one map that it reads, which is that of `level`. `channels`: width of the
    convolutions, of no meaning without any. `concat_input`: concatenate the raw map with the convolved
    one and fuse by one more 3x3 convolution. `dropout`: rate on whole channels.
    Raises `InputError` for options that contradict one another.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        channels: int = 0,
        num_convs: int = 0,
        concat_input: bool = False,
        dropout: float = 0.0,
        level: int = 5,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        (raw,) = in_channels
        if num_convs and channels < 1:
            raise InputError(f"decoder.channels: {channels} with num_convs {num_convs}; it needs at least 1")
        if concat_input and not num_convs:
            raise InputError(
                "decoder.concat_input: needs num_convs of at least 1, else the input is all there is"
            )
        width = channels if num_convs else raw
        self.level = level
        self.align_corners = align_corners
        units = [ConvBNReLU(width if index else raw, width, 3) for index in range(num_convs)]
        self.convs = nn.Sequential(*units)
        self.concat: FusedConcat | None = None
        self.conv_cat: ConvBNReLU | None = None
        if concat_input:
            self.concat = FusedConcat([raw, width], names=["input", "convs"], align_corners=align_corners)
            self.conv_cat = ConvBNReLU(raw + width, width, 3)
            self.concat.connect([(self.conv_cat.convolution, 0)], [None, units[-1]])
        self._end_with(width, num_classes, dropout)
        self._readers = [units[0].convolution if units else self.classifier]
        if self.conv_cat is not None:
            self._readers.append(self.conv_cat.convolution)

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """The section's `level`, 5 where it says none."""
        return [options.get("level", 5)]

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
