"""The loss of a detector, as the training loop sees it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.training.precision import Precision

Batch = tuple[list[Tensor], list[dict[str, Tensor]]]
"""Images `(3, h, w)` of different sizes and as many targets with `boxes (n, 4)` and `labels (n,)`."""

LEARNED = ("boxes", "labels")
"""What of a target a detector of boxes takes."""


class DetectionObjective:
    """Sum of the losses that a detector of torchvision's calling convention returns in training.

    Each of them is a mean over what was sampled in the images that it sees together, so a batch's loss is
    the mean of its parts' losses, weighted by their images. That is the loss of the whole batch where the
    samples per image are equal in number, and near it elsewhere. `learned` are the parts of a target that
    the detector takes.
    """

    def __init__(self, learned: Sequence[str] = LEARNED) -> None:
        self.learned = tuple(learned)

    def count(self, batch: Batch) -> int:
        """Number of images."""
        return len(batch[0])

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """The batch in `parts` of whole images."""
        images, targets = batch
        size, rest = divmod(len(images), parts)
        ends = [size * (part + 1) + min(part + 1, rest) for part in range(parts)]
        starts = [0, *ends[:-1]]
        return [(images[a:b], targets[a:b]) for a, b in zip(starts, ends, strict=True)]

    def loss(
        self, model: nn.Module, part: Any, divisor: int, device: torch.device, precision: Precision
    ) -> Tensor:
        """This part's share of the mean over the batch's images."""
        images = [image.to(device, non_blocking=True) for image in part[0]]
        targets = [
            {key: target[key].to(device, non_blocking=True) for key in self.learned} for target in part[1]
        ]
        with precision.autocast():
            losses: dict[str, Tensor] = model(images, targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum() * (len(images) / divisor)
