"""One optimiser step on made-up data, as a callable to be timed: the work of a real training step."""

from collections.abc import Callable

import torch
from torch import nn

from pipeline_src.training.distributed import Ranks
from pipeline_src.training.objective import Batch, Objective
from pipeline_src.training.optimizer_options import Update
from pipeline_src.training.optimizer_step import OptimizerStep


def training_step(
    model: nn.Module, objective: Objective, options: Update, batch: Batch
) -> Callable[[], None]:
    """Steps `model`, in training mode, on one fixed `batch`; the weights change.

    Raises `InputError` for fp16 on a CPU.
    """
    device = next(model.parameters()).device
    update = OptimizerStep(model.train(), objective, options, Ranks(0, 1, device))

    def step() -> None:
        torch.manual_seed(0)
        update(batch)

    return step
