"""PSP head as MMSegmentation defines it: pyramid pooling on the last level (Zhao et al., PSPNet)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pipeline_src.models.decoders.head import DecodeHead
from pipeline_src.models.decoders.pyramid_pooling import PyramidPooling
from pipeline_src.models.fusion.concat import Consumer


class PSPHead(DecodeHead):
    """Pyramid pooling with a 3x3 fusion, a 1x1 classifier; reads level 5.

    `channels`: of each pooled branch and of the fusion. `dropout`: rate on whole channels.
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
        (raw,) = in_channels
        self.align_corners = align_corners
        self.ppm = PyramidPooling(raw, channels, pool_scales, align_corners=align_corners)
        self._end_with(channels, num_classes, dropout)

    @staticmethod
    def needed_levels(options: dict[str, Any]) -> list[int]:
        """Level 5, whatever the options."""
        return [5]

    def input_convolutions(self, level: int) -> list[Consumer]:
        """The compressing convolutions and the fusion, in which the raw map comes first."""
        return self.ppm.input_convolutions() if level == 5 else []

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits `(N, num_classes, H, W)` of the one map `(N, C, H, W)`, at its size."""
        (raw,) = features
        return self._classify(self.ppm(raw))
