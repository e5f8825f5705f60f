"""Costs of segmentation networks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from pipeline_src.models.build import build_model
from pipeline_src.profiling.describe import describe_architecture
from pipeline_src.profiling.saved_bytes import training_saved_bytes
from pipeline_src.profiling.training_step import TrainingStep
from pipeline_src.tasks.costs import Costs, Size


def _saved_bytes(model: dict[str, Any], batch: int, size: Size) -> int:
    return training_saved_bytes(lambda: build_model(model), batch, size)


def _inference(module: nn.Module, batch: int, size: Size) -> Callable[[], Any]:
    return partial(module, torch.randn(batch, 3, *size, device=next(module.parameters()).device))


def _step(module: nn.Module, recipe: dict[str, Any], batch: int, size: Size, classes: int) -> TrainingStep:
    return TrainingStep(module, recipe, batch=batch, crop=size, num_classes=classes)


COSTS = Costs(describe_architecture, _saved_bytes, build_model, _inference, _step)
