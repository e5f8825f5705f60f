"""Costs of detectors: counted by convention, timed on random images with a few random boxes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.models.detectors.build import build_detector
from pipeline_src.profiling.detector import describe_detector
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.tasks.costs import Costs, Size
from pipeline_src.tasks.detection_objective import Batch, Detection
from pipeline_src.training.optim import build_optimizer
from pipeline_src.training.precision import Precision

OBJECTS = 8
"""Boxes per image, near the mean of COCO's (7.3)."""


def made_up_batch(batch: int, size: Size, classes: int, device: torch.device) -> Batch:
    """Seeded random images `(3, *size)` with `OBJECTS` random boxes each."""
    generator = torch.Generator().manual_seed(0)
    images, targets = [], []
    for _ in range(batch):
        images.append(torch.randn(3, *size, generator=generator).to(device))
        sides = torch.tensor([size[1], size[0]])
        centre = torch.rand(OBJECTS, 2, generator=generator) * sides
        half = (0.02 + 0.2 * torch.rand(OBJECTS, 2, generator=generator)) * sides
        low, high = (centre - half).clamp(min=0), torch.minimum(centre + half, sides)
        labels = torch.randint(1, classes, (OBJECTS,), generator=generator)
        targets.append({"boxes": torch.cat([low, high], dim=1).to(device), "labels": labels.to(device)})
    return images, targets


class DetectorStep:
    """Steps a detector on a fixed made-up batch: the work of a real training step.

    Of a resolved `recipe` it uses `optimizer`, `amp` and `accumulate`.
    """

    def __init__(self, module: nn.Module, recipe: dict[str, Any], batch: int, size: Size, classes: int):
        self.module, self.accumulate = module.train(), recipe["accumulate"]
        self.device = next(module.parameters()).device
        self.batch = made_up_batch(batch, size, classes, self.device)
        self.objective = Detection()
        self.optimizer = build_optimizer(module, recipe["optimizer"])
        self.precision = Precision(recipe["amp"], self.device)

    def __call__(self) -> None:
        """Run one step; the weights change."""
        torch.manual_seed(0)
        self.optimizer.zero_grad(set_to_none=True)
        count = self.objective.count(self.batch)
        for part in self.objective.split(self.batch, self.accumulate):
            loss = self.objective.loss(self.module, part, count, self.device, self.precision)
            self.precision.scaler.scale(loss).backward()
        self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()


def _saved_bytes(model: dict[str, Any], batch: int, size: Size) -> int:
    """Really run, since proposals depend on values: on the CPU, from seeded weights.

    Two images at most are run (BN needs more than one value where a map is 1x1), and the bytes of an image
    count `batch` times: a batch of COCO's size would not fit into memory.
    """
    run = min(batch, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = build_detector(model).train()
        images, targets = made_up_batch(run, size, model["num_classes"], torch.device("cpu"))

        def forward() -> Tensor:
            losses: dict[str, Tensor] = detector(images, targets)
            return torch.stack(list(losses.values())).sum()

        return saved_bytes(forward, detector) * batch // run


def _inference(module: nn.Module, batch: int, size: Size) -> Callable[[], Any]:
    device = next(module.parameters()).device
    return partial(module, made_up_batch(batch, size, 2, device)[0])


COSTS = Costs(describe_detector, _saved_bytes, build_detector, _inference, DetectorStep)
