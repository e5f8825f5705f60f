"""How a network is trained, whatever it learns: what the training loop takes from a recipe. No torch."""

from dataclasses import dataclass

from pipeline_src.options import REQUIRED, NonNegativeInt, PositiveInt, option
from pipeline_src.training.optimizer_options import Update
from pipeline_src.training.schedules import LinearEpochSchedule, PolySchedule, Schedule, StepSchedule, Warmup


@dataclass(frozen=True)
class Every:
    """An interval of training."""

    epochs: PositiveInt | None = option(None, "In epochs.")
    iterations: PositiveInt | None = option(None, "In iterations.")

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("set exactly one of epochs, iterations")

    def steps(self, steps_per_epoch: int) -> int:
        """The interval in optimiser steps."""
        return self.iterations or (self.epochs or 0) * steps_per_epoch


@dataclass(frozen=True, kw_only=True)
class Recipe(Update):
    """What the training loop is told; raises `ValueError` where it does not go together."""

    schedule: Schedule = option(REQUIRED, "Learning rate over time.")
    warmup: Warmup | None = option(None, "Linear warm-up; null: none.")
    epochs: PositiveInt | None = option(None, "Length in epochs.")
    iterations: PositiveInt | None = option(None, "Length in iterations.")
    batch: PositiveInt = option(REQUIRED, "Samples of one optimiser step, over all ranks and micro-batches.")
    freeze_bn_at_epoch: NonNegativeInt | None = option(
        None, "Epoch from which batch normalisation is fixed; null: never."
    )
    validate_every: Every | None = option(None, "Validation during training, for the curves; null: none.")
    drop_last: bool = option(True, "Drop an epoch's last short batch.")
    log_every: PositiveInt = option(1, "Iterations between two lines of log.csv.")

    def __post_init__(self) -> None:
        by_epochs = self.length.epochs is not None
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} cannot be split into {self.accumulate} micro-batches")
        if isinstance(self.schedule, LinearEpochSchedule) and not by_epochs:
            raise ValueError("schedule linear_epoch needs a length in epochs")
        if self.epochs is not None and (self.freeze_bn_at_epoch or 0) >= self.epochs:
            raise ValueError(
                f"freeze_bn_at_epoch {self.freeze_bn_at_epoch} never comes: the last epoch is "
                f"{self.epochs - 1}; null means never"
            )
        if self.iterations is not None and self.warmup and self.warmup.iterations >= self.iterations:
            raise ValueError(
                f"a warm-up of {self.warmup.iterations} leaves nothing of {self.iterations} iterations"
            )
        self._check_schedule()
        self._check_intervals()

    def _check_schedule(self) -> None:
        """Refuse a drop that never comes and a learning rate that rises where it should fall."""
        schedule, lr = self.schedule, self.optimizer.lr
        if isinstance(schedule, PolySchedule) and schedule.min_lr > lr:
            raise ValueError(
                f"schedule.min_lr {schedule.min_lr:g} is above optimizer.lr {lr:g}; use at most {lr:g}"
            )
        if isinstance(schedule, StepSchedule):
            length = self.epochs if schedule.unit == "epoch" else self.iterations
            last = schedule.milestones[-1]
            if length is not None and last >= length:
                raise ValueError(
                    f"schedule.milestones: {last} never comes; use {schedule.unit}s below {length}, or "
                    "schedule constant"
                )

    def _check_intervals(self) -> None:
        """Refuse an interval longer than the whole training, where both are in one unit."""
        every = self.validate_every or self.length
        for unit in ("epochs", "iterations"):
            interval, length = getattr(every, unit), getattr(self, unit)
            if interval is not None and length is not None and interval > length:
                raise ValueError(
                    f"validate_every.{unit}: {interval} is beyond the end; use at most {length}, or "
                    "validate_every null for no validation"
                )
        if self.iterations is not None and self.log_every > self.iterations:
            raise ValueError(f"log_every {self.log_every} is beyond the end; use at most {self.iterations}")

    def learning_rate(self, step: int, lr: float, steps_per_epoch: int, total_steps: int) -> float:
        """Learning rate of update `step` in 0..total_steps-1, for a base learning rate `lr`."""
        rate = self.schedule.rate(step, lr, steps_per_epoch, total_steps)
        return rate if self.warmup is None else rate * self.warmup.factor(step)

    @property
    def length(self) -> Every:
        """The whole training."""
        return Every(self.epochs, self.iterations)
