"""What a run is for, from its resolved model section, and what step `cost` asks of a task.

A task is a folder here, with the same files in each:

    training.py     TRAINING: network, data, validation, objective, as `training.training_job.Parts`
    objective.py    its loss, as `training.objective.Objective`
    evaluation.py   its scores and pictures, as `evaluation.evaluate.TaskEvaluation`
    costs.py        COSTS, as `Costs` below
    declaration.py  what planning and tables know of it, as `declaration.Task`; an entry of `table.TASKS`
    submission.py   predictions for evaluation servers, as `evaluation.submit.TaskSubmission`
    prediction.py   predictions for a user's images, as `predicting.task_prediction.TaskPrediction`

All but the declaration are components, so that a job reaches those of its own task only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipeline_src.training.objective import Batch, Objective

Size = tuple[int, int]
"""Height and width of an image."""


@dataclass(frozen=True)
class Costs:
    """Ways to build, describe and exercise the networks of one task.

    `build(model section)`; `describe(model section, size)`: `parameters`, `flops` of one image and `parts`;
    `saved_bytes(model section, batch, size)`: what a training step's forward pass keeps;
    `made_up_batch(batch, size, classes, device)`: images, which the network takes, and targets;
    `objective(loss)`: the loss of such a batch, by a recipe's section `loss`.
    """

    build: Callable[[dict[str, Any]], nn.Module]
    describe: Callable[[dict[str, Any], Size], dict[str, Any]]
    saved_bytes: Callable[[dict[str, Any], int, Size], int]
    made_up_batch: Callable[[int, Size, int, torch.device], Batch]
    objective: Callable[[Mapping[str, Any]], Objective]


def task_of(model: Mapping[str, Any]) -> str:
    """What the network of a resolved model section learns, as its head declares it: a folder here."""
    return str(model["task"])
