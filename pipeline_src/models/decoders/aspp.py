"""ASPP head as MMSegmentation defines it: atrous pyramid pooling on the last level (DeepLabV3)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pipeline_src.models.decoders.atrous_pooling import ASPP
from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.fusion.concat import Consumer


class ASPPHead(DecodeHead):
    """Atrous spatial pyramid pooling with a 3x3 fusion, a 1x1 classifier; reads level 5.

    `dilations`: rates of its convolutions, 1 being a 1x1. `channels`: of each branch and of the fusion.
    `dropout`: rate on whole channels. Raises `InputError` for dilations that cannot be built.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        dilations: Sequence[int] = (1, 12, 24, 36),
        channels: int = 512,
        dropout: float = 0.1,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        (raw,) = in_channels
        self.align_corners = align_corners
        self.aspp = ASPP(raw, channels, dilations, align_corners=align_corners)
        self._end_with(channels, num_classes, dropout)

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """Level 5, whatever the options."""
        return [5]

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The first convolution of each branch."""
        return self.aspp.input_convolutions() if level == 5 else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` of the one map `(N, C, H, W)`, at its size."""
        (raw,) = features
        return self._classify(self.aspp(raw))
