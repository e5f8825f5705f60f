"""What a network is trained to do, as the training loop sees it: batches and their losses, unopened."""

from typing import Any, Protocol

import torch
from torch import nn

from pipeline_src.training.precision import Precision

Batch = Any
"""What a loader yields for one step; the task's objective knows what is in it."""


class Objective(Protocol):
    """The loss of a batch, in parts that add up: over micro-batches, and over ranks.

    The divisor is counted over the whole batch first, so that a part's share is exact whatever the split.
    """

    def count(self, batch: Batch) -> int:
        """What a rank's batch contributes to the divisor."""
        ...

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """The micro-batches of a batch."""
        ...

    def loss(
        self, model: nn.Module, part: Batch, divisor: int, device: torch.device, precision: Precision
    ) -> torch.Tensor:
        """A micro-batch's share of the loss, a scalar on `device`."""
        ...
