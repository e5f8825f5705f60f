"""The training loop.

Everything random is a function of (seed, epoch, sample) or (seed, step, rank), and everything
scheduled a function of the step. So the state of a training is its tensors and the number of
finished updates, and one that was killed and resumed goes the way of one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pipeline_src.errors import InputError, Interrupted
from pipeline_src.progress import Progress
from pipeline_src.training.batchnorm import freeze_batch_norm, share_running_statistics
from pipeline_src.training.checkpoint import CheckpointFolder, load_checkpoint
from pipeline_src.training.distributed import Ranks
from pipeline_src.training.journal import Journal
from pipeline_src.training.objective import Batch, Objective
from pipeline_src.training.optimizer_step import OptimizerStep
from pipeline_src.training.recipe import Recipe
from pipeline_src.training.seeding import seed_step
from pipeline_src.training.stopping import SaveInterval, StopRequest
from pipeline_src.training.timetable import Timetable

logger = logging.getLogger(__name__)

Batches = Callable[[int], Iterator[Batch]]
"""From the first step to this rank's batches of it and all later steps."""

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Scores of the model on the validation split, by metric; every rank calls it."""

SETTLE_EVERY = {"cpu": 1, "cuda": 16}
"""Steps between two looks at the losses: each look makes the host wait for the device."""


class Diverged(InputError):
    """The loss or the weights are no longer finite; training on would only spread it."""


@dataclass
class Trainer:
    """One training of `model` on its device, from step 0 or a checkpoint to the last step.

    `session` describes this process (device, world size) for the record of sessions.
    """

    name: str
    model: nn.Module
    recipe: Recipe
    timetable: Timetable
    seed: int
    objective: Objective
    ranks: Ranks
    store: CheckpointFolder
    journal: Journal
    batches: Batches
    validate: Validate | None = None
    interval: SaveInterval = field(default_factory=SaveInterval)
    stop: StopRequest = field(default_factory=StopRequest)
    session: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.update = OptimizerStep(self.model, self.objective, self.recipe, self.ranks)
        self.step = 0
        self.sessions: list[dict[str, Any]] = []
        self.unsettled: list[tuple[int, int, float, torch.Tensor]] = []
        self.last_loss = math.nan
        self.last_checkpoint: str | None = None

    def run(self) -> None:
        """Train to the last step; the model then holds the final weights.

        Raises `Interrupted` after saving when asked to stop, and `Diverged` when a loss is not finite.
        """
        self.restore()
        total = self.timetable.total_steps
        batches = self.batches(self.step)
        with Progress(self.name, total, "step", self.step, shown=self.ranks.first) as progress:
            while True:
                if self.timetable.validation_due(self.step):
                    self.run_validation()
                if self.step == total:
                    break
                self.train_step(next(batches))
                progress.update(note=f"loss {self.last_loss:.4g}")

                stop, save = self.ranks.any(self.stop.requested is not None, self.interval.due(self.step))
                if (stop or save) and self.step < total:
                    # Before a validation that is due here: a kill during it then costs no step, and the
                    # resumed training begins with that validation.
                    self.save()
                if stop and self.step < total:
                    who = self.stop.requested or "another rank"
                    raise Interrupted(
                        f"{self.name}: {who} asked to stop; step {self.step} of {total} is saved, "
                        "start the job again to continue"
                    )
        self.settle()
        self.require_finite_weights()
        self.note_time()
        if self.ranks.first:
            logger.info("%s: %d steps, loss %.4g", self.name, self.step, self.last_loss)

    def train_step(self, batch: Batch) -> None:
        """One update, with what the step's number decides: modes, learning rates, seed."""
        self.set_modes()
        lr = self.set_learning_rates()
        torch.manual_seed(seed_step(self.seed, self.step, self.ranks.rank))
        loss = self.update(batch)
        share_running_statistics(self.model)

        epoch = self.step // self.timetable.steps_per_epoch
        self.step += 1
        self.unsettled.append((self.step, epoch, lr, loss))
        if len(self.unsettled) >= SETTLE_EVERY[self.ranks.device.type]:
            self.settle()

    def set_modes(self) -> None:
        """Training mode, with batch normalisation fixed where the timetable says so."""
        self.model.train()
        if self.timetable.bn_frozen(self.step):
            freeze_batch_norm(self.model)

    def set_learning_rates(self) -> float:
        """Set every group's learning rate for this step; returns the recipe's own."""
        steps = self.timetable.steps_per_epoch, self.timetable.total_steps
        for group in self.update.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate(self.step, group["base_lr"], *steps)
        return self.recipe.learning_rate(self.step, self.recipe.optimizer.lr, *steps)

    def settle(self) -> None:
        """Fetch the losses of the last steps from the device, check them and log them.

        Raises `Diverged` at the first one that is not finite.
        """
        if not self.unsettled:
            return
        losses = torch.stack([loss for *_, loss in self.unsettled]).tolist()
        every, total = self.recipe.log_every, self.timetable.total_steps
        for (step, epoch, lr, _), loss in zip(self.unsettled, losses, strict=True):
            if not math.isfinite(loss):
                raise self.diverged(f"the loss is {loss} at step {step} (learning rate {lr:.3g})")
            if step % every == 0 or step == total:
                self.journal.add_loss(step, epoch, lr, loss)
                self.journal.add_time(self.sessions[-1]["from_step"], step, time.monotonic() - self.began)
        self.last_loss = losses[-1]
        self.unsettled.clear()

    def run_validation(self) -> None:
        """Score the current weights and append the scores to the curve."""
        self.settle()
        if self.validate is not None:
            self.require_finite_weights()
            scores = self.validate(self.model)
            self.journal.add_scores(self.step, self.step // self.timetable.steps_per_epoch, scores)

    def save(self) -> None:
        """Write a checkpoint, unless anything in it is not finite (`Diverged`)."""
        self.settle()
        self.require_finite_weights()
        self.note_time()
        if self.ranks.first:
            path = self.store.save(
                self.step,
                {
                    "model": self.model.state_dict(),
                    "optimizer": self.update.optimizer.state_dict(),
                    "scaler": self.update.precision.scaler.state_dict(),
                    "journal": self.journal.lengths(),
                    "sessions": self.sessions,
                },
            )
            self.last_checkpoint = str(path)
        self.interval.saved()

    def restore(self) -> None:
        """Continue from the newest whole checkpoint, or begin with the first rank's model."""
        path = None
        if self.ranks.first:
            path = self.store.newest(lambda state: self.journal.holds(state["journal"]))
        path = self.ranks.share(path)
        if path is None:
            self.journal.start()
            self.ranks.broadcast_model(self.model)
        else:
            state = load_checkpoint(path)
            self.model.load_state_dict(state["model"])
            self.update.optimizer.load_state_dict(state["optimizer"])
            self.update.precision.scaler.load_state_dict(state["scaler"])
            self.step = state["step"]
            self.sessions = state["sessions"]
            self.journal.cut(state["journal"])
            self.last_checkpoint = str(path)
        self.sessions.append({"from_step": self.step, **self.session})
        self.began = time.monotonic()

    def note_time(self) -> None:
        """Write down how long this session has been at it."""
        self.sessions[-1]["seconds"] = round(time.monotonic() - self.began, 1)

    def require_finite_weights(self) -> None:
        """Raise `Diverged` when a parameter or buffer is not finite, which a finite loss can hide."""
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise self.diverged(f"{name} is not finite after step {self.step}")

    def diverged(self, what: str) -> Diverged:
        """The error that says what happened and what is left."""
        left = (
            f"the last good checkpoint is {self.last_checkpoint}"
            if self.last_checkpoint
            else "none was saved"
        )
        return Diverged(
            f"{self.name}: {what}; {left}; a lower learning rate or a warm-up would be next to try"
        )
