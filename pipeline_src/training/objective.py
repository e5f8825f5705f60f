"""What a network is trained to do, as the training loop sees it: batches and their losses, unopened."""

from typing import Any, Protocol

import torch
from torch import nn

from pipeline_src.training.losses import SegmentationLoss
from pipeline_src.training.precision import Precision

Batch = Any
"""What a loader yields for one step: for segmentation, images `(n, 3, H, W)` and masks `(n, H, W)`."""


class Objective(Protocol):
    """The loss of a batch, in parts that add up: over micro-batches, and over ranks.

    The divisor is counted over the whole batch first, so that a part's share is exact whatever the split.
    """

    def count(self, batch: Batch) -> int:
        """What a rank's batch contributes to the divisor."""
        ...

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """The micro-batches of a batch, on the CPU."""
        ...

    def loss(
        self, model: nn.Module, part: Batch, divisor: int, device: torch.device, precision: Precision
    ) -> torch.Tensor:
        """A micro-batch's share of the loss, a scalar on `device`."""
        ...


class Segmentation:
    """Cross-entropy of a segmentation network over pixels; see `SegmentationLoss`."""

    def __init__(self, section: dict[str, Any], ignore_index: int) -> None:
        self.cross_entropy = SegmentationLoss.of(section, ignore_index)

    def count(self, batch: Batch) -> int:
        """Pixels that the loss is divided by."""
        return self.cross_entropy.pixels(batch[1])

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """The batch in `parts` of images and masks."""
        images, masks = batch
        return list(zip(images.tensor_split(parts), masks.tensor_split(parts), strict=True))

    def loss(
        self, model: nn.Module, part: Batch, divisor: int, device: torch.device, precision: Precision
    ) -> torch.Tensor:
        """This part's share of the mean over pixels."""
        images, masks = part
        with precision.autocast():
            output = model(images.to(device, non_blocking=True))
        return self.cross_entropy(output, masks.to(device, non_blocking=True).long(), divisor)
