"""What the planner tells the jobs of a run. No torch.

The resolved model section stays a mapping: each of its parts is read by the component that it is of.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Of the run's data: the number of classes, and the id of pixels that are not labelled."""

    num_classes: int
    ignore_index: int


@dataclass(frozen=True, kw_only=True)
class RunParameters:
    """What every job of a run has: labels, the resolved model section, and how a process computes."""

    data: Labels
    model: dict[str, Any]
    threads: int
    deterministic: bool

    @property
    def mean(self) -> list[float]:
        """By which images are normalised, as the backbone's weights want it."""
        found: list[float] = self.model["backbone"]["mean"]
        return found

    @property
    def std(self) -> list[float]:
        """By which images are normalised, as the backbone's weights want it."""
        found: list[float] = self.model["backbone"]["std"]
        return found


@dataclass(frozen=True, kw_only=True)
class InitialParameters(RunParameters):
    """What decides a run's weights before its first step; `init_from` is the run that they are taken from."""

    seed: int
    init_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrainRun(InitialParameters):
    """Step `train`. The recipe is one of `training.recipe.Recipe` with what the run's task adds to it.

    With `strict_environment` what other library versions have begun or done is not gone on with.
    """

    recipe: dict[str, Any]
    strict_environment: bool = False
