"""One optimiser step, in training and where its cost is measured."""

import torch
from torch import nn

from pipeline_src.training.distributed import Ranks
from pipeline_src.training.make_optimizer import build_optimizer
from pipeline_src.training.objective import Batch, Objective
from pipeline_src.training.optimizer_options import Update
from pipeline_src.training.precision import Precision


class OptimizerStep:
    """Updates `model` by one batch: the step of a single process with the whole batch, whatever the split
    into micro-batches and over ranks.

    The caller sets the model's mode, the learning rates and the seed. Raises `InputError` for fp16 on a CPU.
    """

    def __init__(self, model: nn.Module, objective: Objective, options: Update, ranks: Ranks) -> None:
        self.model, self.objective, self.ranks = model, objective, ranks
        self.accumulate, self.clip_grad_norm = options.accumulate, options.clip_grad_norm
        self.precision = Precision(options.amp, ranks.device)
        self.optimizer = build_optimizer(model, options.optimizer)
        self.parameters = [
            parameter for group in self.optimizer.param_groups for parameter in group["params"]
        ]

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss of the whole batch, float64 on the device, before the update."""
        device, scaler = self.ranks.device, self.precision.scaler
        divisor = int(self.ranks.sum(self.objective.count(batch)))
        loss = torch.zeros((), dtype=torch.float64, device=device)
        for part in self.objective.split(batch, self.accumulate):
            share = self.objective.loss(self.model, part, divisor, device, self.precision)
            scaler.scale(share).backward()
            loss += share.detach()
        self.ranks.sum_gradients(self.parameters)
        self.ranks.sum_tensor(loss)

        scaler.unscale_(self.optimizer)  # before clipping, which compares with true gradients
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_grad_norm)
        scaler.step(self.optimizer)
        scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return loss
