"""Costs of segmentation networks: counted without computing anything, timed on random images and masks."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.options import from_json
from pipeline_src.profiling.describe_segmentor import describe_segmentor
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.tasks.segmentation.objective import Batch, SegmentationObjective
from pipeline_src.tasks.task import Costs, Size
from pipeline_src.training.loss_options import Loss
from pipeline_src.training.losses import SegmentationLoss


def made_up_batch(batch: int, size: Size, classes: int, device: torch.device) -> Batch:
    """Seeded random images `(batch, 3, *size)` and masks `(batch, *size)`."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, *size, generator=generator).to(device)
    return images, torch.randint(classes, (batch, *size), generator=generator).to(device)


def objective(loss: Mapping[str, Any]) -> SegmentationObjective:
    """The loss of a recipe's section."""
    return SegmentationObjective(from_json(Loss, loss), IGNORE_INDEX)


def training_saved_bytes(build: Callable[[], nn.Module], batch: int, crop: tuple[int, int]) -> int:
    """Bytes kept by one training step of a segmentation model: forward pass and cross-entropy.

    `build()` makes the model that maps `(batch, 3, *crop)` to logits `(batch, classes, *crop)`, or to a
    pair of them; it is called on the meta device and takes no memory. The bytes are those that the float32
    CPU path would keep. Gradients and optimiser state are not in the number.
    """
    loss = SegmentationLoss("sum", IGNORE_INDEX)
    with torch.device("meta"):
        model = build().train()
    # The meta device alone is not enough: operators choose another path there (attention, for one).
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu")
        images = torch.empty(batch, 3, *crop)
        labels = torch.zeros(batch, *crop, dtype=torch.int64)

        def forward() -> Tensor:
            return loss(model(images), labels, 1)

        return saved_bytes(forward, model)


def _saved_bytes(model: dict[str, Any], batch: int, size: Size) -> int:
    return training_saved_bytes(lambda: build_segmentor(model), batch, size)


COSTS = Costs(build_segmentor, describe_segmentor, _saved_bytes, made_up_batch, objective)
