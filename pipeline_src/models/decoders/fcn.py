"""FCN head as MMSegmentation defines it; without convolutions it is a 1x1 classifier, as DFP uses it."""

from collections.abc import Sequence

from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.fusion.concat import FusedConcat
from pipeline_src.models.layers import ConvBNReLU


class FCNHead(nn.Module):
    """`num_convs` 3x3 convolutions, an optional concatenation with the input, a 1x1 classifier.

    `in_channels` are the pyramid's; the head reads the last of its maps (level 5 by `needed_levels`).
    `channels`: width of the convolutions, of no meaning without any. `concat_input`: concatenate the
    raw map with the convolved one and fuse by one more 3x3 convolution. `dropout`: rate on whole channels.
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
    ) -> None:
        super().__init__()
        raw = in_channels[-1]
        if num_convs and channels < 1:
            raise InputError(f"decoder.channels: {channels} with num_convs {num_convs}; it needs at least 1")
        if concat_input and not num_convs:
            raise InputError(
                "decoder.concat_input: needs num_convs of at least 1, else the input is all there is"
            )
        width = channels if num_convs else raw
        self.convs = nn.Sequential(
            *(ConvBNReLU(width if index else raw, width, 3) for index in range(num_convs))
        )
        self.concat = FusedConcat([raw, width], names=["input", "convs"]) if concat_input else None
        self.conv_cat = ConvBNReLU(raw + width, width, 3) if concat_input else None
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    @staticmethod
    def needed_levels(decoder: dict) -> list[int]:
        """Levels of the pyramid that the head reads, for its section `decoder` of a resolved model."""
        return [5]

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` at the size of the last of `features`."""
        raw = features[-1]
        convolved = self.convs(raw)
        if self.concat is not None and self.conv_cat is not None:
            convolved = self.conv_cat(self.concat([raw, convolved]))
        return self.classifier(self.dropout(convolved))
