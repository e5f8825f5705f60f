"""The loss of a segmentation network, as the training loop sees it."""

from torch import Tensor, device, nn

from pipeline_src.training.loss_options import Loss
from pipeline_src.training.losses import SegmentationLoss
from pipeline_src.training.precision import Precision

Batch = tuple[Tensor, Tensor]
"""Images `(n, 3, H, W)` and masks `(n, H, W)`."""


class SegmentationObjective:
    """Cross-entropy over pixels, as a recipe's `loss` says; see `SegmentationLoss`."""

    def __init__(self, loss: Loss, ignore_index: int) -> None:
        self.cross_entropy = SegmentationLoss.of(loss, ignore_index)

    def count(self, batch: Batch) -> int:
        """Pixels that the loss is divided by."""
        return self.cross_entropy.pixels(batch[1])

    def split(self, batch: Batch, parts: int) -> list[Batch]:
        """The batch in `parts` of images and masks."""
        images, masks = batch
        return list(zip(images.tensor_split(parts), masks.tensor_split(parts), strict=True))

    def loss(
        self, model: nn.Module, part: Batch, divisor: int, device: device, precision: Precision
    ) -> Tensor:
        """This part's share of the mean over pixels."""
        images, masks = part
        with precision.autocast():
            output = model(images.to(device, non_blocking=True))
        return self.cross_entropy(output, masks.to(device, non_blocking=True).long(), divisor)
