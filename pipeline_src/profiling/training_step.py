"""One optimiser step on random data, as a callable to be timed: the work of a real training step."""

from typing import Any

import torch
from torch import nn

from pipeline_src.data.index import IGNORE_INDEX
from pipeline_src.training.losses import SegmentationLoss
from pipeline_src.training.optim import build_optimizer
from pipeline_src.training.precision import Precision


class TrainingStep:
    """Steps a segmentation model on fixed random images `(batch, 3, *crop)` and masks `(batch, *crop)`.

    Of a resolved `recipe` it uses `optimizer`, `amp`, `loss` and `accumulate` (the batch is split into so
    many micro-batches). Raises `InputError` for fp16 on a CPU.
    """

    def __init__(
        self, model: nn.Module, recipe: dict[str, Any], *, batch: int, crop: tuple[int, int], num_classes: int
    ) -> None:
        device = next(model.parameters()).device
        generator = torch.Generator().manual_seed(0)
        self.model = model.train()
        self.images = torch.randn(batch, 3, *crop, generator=generator).to(device)
        self.masks = torch.randint(num_classes, (batch, *crop), generator=generator).to(device)
        self.accumulate = recipe["accumulate"]
        self.loss = SegmentationLoss.of(recipe["loss"], IGNORE_INDEX)
        self.optimizer = build_optimizer(model, recipe["optimizer"])
        self.precision = Precision(recipe["amp"], device)

    def __call__(self) -> None:
        """Run one step; the model's weights change."""
        self.optimizer.zero_grad(set_to_none=True)
        divisor = self.loss.pixels(self.masks)
        parts = zip(self.images.chunk(self.accumulate), self.masks.chunk(self.accumulate), strict=True)
        for images, masks in parts:
            with self.precision.autocast():
                output = self.model(images)
            self.precision.scaler.scale(self.loss(output, masks, divisor)).backward()
        self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()
