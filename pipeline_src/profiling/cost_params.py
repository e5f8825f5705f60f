"""What the planner tells step `cost`. No torch."""

from dataclasses import dataclass
from typing import Any

from pipeline_src.training.optimizer_options import Update


@dataclass(frozen=True, kw_only=True)
class MeasuredRecipe(Update):
    """What decides the work of a training step; the task reads `loss`."""

    loss: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MeasureCost:
    """What is measured: a network, at `crop` (height, width) and `batch` images, `repeats` times."""

    model: dict[str, Any]
    crop: tuple[int, int]
    batch: int
    recipe: MeasuredRecipe
    threads: int
    repeats: int
    warmup: int
