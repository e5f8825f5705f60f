"""Costs of detectors: counted by convention, timed on random images with a few random boxes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.profiling.describe_detector import describe_detector
from pipeline_src.profiling.saved_bytes import saved_bytes
from pipeline_src.tasks.detection.objective import Batch, DetectionObjective
from pipeline_src.tasks.task import Costs, Size
from pipeline_src.training.objective import Objective

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


def detection_costs(
    made_up_batch: Callable[[int, Size, int, torch.device], Batch], objective: Callable[[], Objective]
) -> Costs:
    """The costs of detectors that learn from such batches with such an objective, whatever the recipe."""

    def detector_bytes(model: dict[str, Any], batch: int, size: Size) -> int:
        """Really run, since proposals depend on values: on the CPU, from seeded weights.

        Two images at most are run (BN needs more than one value where a map is 1x1), and the bytes of an
        image count `batch` times: a batch of COCO's size would not fit into memory.
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

    return Costs(build_detector, describe_detector, detector_bytes, made_up_batch, lambda loss: objective())


COSTS = detection_costs(made_up_batch, DetectionObjective)
