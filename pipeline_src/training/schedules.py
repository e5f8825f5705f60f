"""Learning rate as a pure function of the step: nothing is counted up, so a resumed training needs no
scheduler state and cannot be off by one. No torch.

Steps count from 0; step `t` is the update that follows `t` finished ones. Epoch `e` of a step is
`t // steps_per_epoch`, also from 0.

A schedule is a class with its options and the method `rate(step, lr, steps_per_epoch, total_steps)`: the
learning rate of update `step`, for a base learning rate `lr`.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline_src.options import REQUIRED, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, option


@dataclass(frozen=True)
class ConstantSchedule:
    """A constant learning rate."""

    kind: Literal["constant"] = option(REQUIRED, "lr never changes.")

    def rate(self, step: int, lr: float, steps_per_epoch: int, total_steps: int) -> float:
        """The base learning rate."""
        return lr


@dataclass(frozen=True)
class LinearEpochSchedule:
    """DFP's rule (section 3.3)."""

    kind: Literal["linear_epoch"] = option(REQUIRED, "lr (1 - e/E) in epoch e of E.")
    compound: bool = option(
        False, "Read the printed rule literally: every epoch multiplies the last learning rate."
    )

    def rate(self, step: int, lr: float, steps_per_epoch: int, total_steps: int) -> float:
        """DFP's "lr = lr (1 - epoch / total)".

        Read as a closed form it falls linearly. Read as an assignment that every epoch executes
        (`compound`), each epoch multiplies what the last one left.
        """
        epoch, epochs = step // steps_per_epoch, math.ceil(total_steps / steps_per_epoch)
        if not self.compound:
            return lr * (1 - epoch / epochs)
        return lr * math.prod(1 - passed / epochs for passed in range(1, epoch + 1))


@dataclass(frozen=True)
class PolySchedule:
    """MMSegmentation's polynomial decay, per iteration."""

    kind: Literal["poly"] = option(REQUIRED, "(lr - min_lr) (1 - t/T)^power + min_lr.")
    power: PositiveFloat = option(0.9, "Exponent.")
    min_lr: NonNegativeFloat = option(0.0, "Learning rate at the end.")

    def rate(self, step: int, lr: float, steps_per_epoch: int, total_steps: int) -> float:
        """Falls from `lr` towards `min_lr`."""
        remaining = (1 - step / total_steps) ** self.power
        return (lr - self.min_lr) * remaining + self.min_lr


@dataclass(frozen=True)
class StepSchedule:
    """A drop at given epochs or iterations."""

    kind: Literal["step"] = option(REQUIRED, "lr gamma^(milestones passed).")
    milestones: list[PositiveInt] = option(REQUIRED, "When it drops.", min_length=1)
    gamma: float = option(0.1, "Factor of a drop.", gt=0, lt=1)
    unit: Literal["epoch", "iteration"] = option("epoch", "Unit of the milestones.")

    def __post_init__(self) -> None:
        rising = sorted(set(self.milestones))
        if self.milestones != rising:
            raise ValueError(f"milestones {self.milestones}: each comes after the one before; use {rising}")

    def rate(self, step: int, lr: float, steps_per_epoch: int, total_steps: int) -> float:
        """Drops at a milestone's first step."""
        position = step // steps_per_epoch if self.unit == "epoch" else step
        return lr * self.gamma ** sum(milestone <= position for milestone in self.milestones)


Schedule = ConstantSchedule | LinearEpochSchedule | PolySchedule | StepSchedule


@dataclass(frozen=True)
class Warmup:
    """Linear warm-up, per iteration."""

    iterations: PositiveInt = option(REQUIRED, "Length.")
    ratio: Fraction = option(REQUIRED, "Factor on the learning rate at the first iteration.")

    def factor(self, step: int) -> float:
        """What the learning rate of a step is multiplied by: rises linearly from `ratio` to 1.

        So does mmcv's `warmup="linear"`: the schedule itself runs from step 0. (mmengine chains a `LinearLR`
        and a scheduler that starts after it; for poly over 160k steps with 1,500 of warm-up both differ by
        less than 1 % of the base rate.)
        """
        if step >= self.iterations:
            return 1.0
        return 1 - (1 - step / self.iterations) * (1 - self.ratio)
