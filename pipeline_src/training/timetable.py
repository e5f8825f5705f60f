"""When things happen in a training, in steps: its length, the freezing of BN, the validations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_src.training.recipe import Recipe


def steps_per_epoch(samples: int, batch: int, drop_last: bool = True) -> int:
    """Optimiser steps of an epoch: the last, short batch counts unless it is dropped."""
    return samples // batch if drop_last else -(-samples // batch)


@dataclass(frozen=True)
class Timetable:
    """Everything about time that a recipe says, in optimiser steps counted from 0."""

    steps_per_epoch: int
    total_steps: int
    freeze_bn_at: int | None
    """First step with fixed batch normalisation."""
    validate_every: int | None

    @classmethod
    def of(cls, recipe: "Recipe", samples: int) -> "Timetable":
        """The timetable of a recipe on a training split of `samples` samples."""
        steps = steps_per_epoch(samples, recipe.batch, recipe.drop_last)
        freeze, validate = recipe.freeze_bn_at_epoch, recipe.validate_every
        return cls(
            steps_per_epoch=steps,
            total_steps=recipe.length.steps(steps),
            freeze_bn_at=None if freeze is None else freeze * steps,
            validate_every=None if validate is None else validate.steps(steps),
        )

    def bn_frozen(self, step: int) -> bool:
        """Whether update `step` finds batch normalisation fixed."""
        return self.freeze_bn_at is not None and step >= self.freeze_bn_at

    def validation_due(self, done: int) -> bool:
        """Whether to validate after `done` updates; the end of the training always is."""
        if self.validate_every is None or done == 0:
            return False
        return done % self.validate_every == 0 or done == self.total_steps
