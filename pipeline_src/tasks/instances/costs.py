"""Costs of detectors that draw masks: as those of detectors, with a mask of every box in training."""

import torch
from torch import Tensor

from pipeline_src.tasks.detection import costs as detection
from pipeline_src.tasks.detection.objective import Batch
from pipeline_src.tasks.instances.objective import instance_objective
from pipeline_src.tasks.task import Size


def made_up_batch(batch: int, size: Size, classes: int, device: torch.device) -> Batch:
    """As for detectors, and an ellipse in every box."""
    images, targets = detection.made_up_batch(batch, size, classes, device)
    return images, [{**target, "masks": ellipses(target["boxes"], size)} for target in targets]


def ellipses(boxes: Tensor, size: Size) -> Tensor:
    """Masks `(n, *size)` uint8 of the ellipses inside `boxes` `(n, 4)`."""
    y = torch.arange(size[0], device=boxes.device)[None, :, None] + 0.5
    x = torch.arange(size[1], device=boxes.device)[None, None, :] + 0.5
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    across = (x - centre[:, 0, None, None]) / half[:, 0, None, None]
    down = (y - centre[:, 1, None, None]) / half[:, 1, None, None]
    return (across**2 + down**2 <= 1).to(torch.uint8)


COSTS = detection.detection_costs(made_up_batch, instance_objective)
