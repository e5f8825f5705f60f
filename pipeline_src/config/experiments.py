"""What the studies come to: runs, table rows and architectures."""

from dataclasses import dataclass
from typing import Any

from pipeline_src.config.recipe import RunRecipe
from pipeline_src.evaluation.inference_options import Evaluation


@dataclass(frozen=True)
class Run:
    """A unique training: model, data, recipe, seed, and the run it starts from. `name` is a readable path.

    `model` is without what only a test reads.
    """

    name: str
    study: str
    dataset: str
    backbone: str
    model: dict[str, Any]
    recipe: RunRecipe
    seed: int
    init_from: str | None = None


@dataclass(frozen=True)
class Scoring:
    """A unique evaluation of a run: how a trained network is tested. A run may have several.

    A run's first one has the run's own name, another one the name that a run of its row would have.
    `model` is all of the network's section.
    """

    name: str
    run: str
    model: dict[str, Any]
    evaluation: Evaluation


@dataclass(frozen=True)
class Row:
    """A row of a study: a point in its axes, the runs that serve it, and its baseline.

    `runs`, `scorings` and `seeds` are parallel; seeds are counted from the row's first one. `settings` are
    the axis values by key path; `architecture` names the point whose cost is measured, None where none is.
    `baseline` is the label of the row that it is compared with: the baseline's values, and on all other axes
    its own; None for a baseline row, or without one.
    `pair` names it and its baseline together. A row that is not trained has no runs, a `status` such as
    `no data` or `not at this scale`, and its `reason`.
    """

    study: str
    label: str
    settings: dict[str, Any]
    runs: tuple[str, ...]
    scorings: tuple[str, ...]
    seeds: tuple[int, ...]
    architecture: str | None
    baseline: str | None
    dataset: str
    pair: str | None = None
    status: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Architecture:
    """A network at a crop and batch: what is measured once, however many runs train it.

    `setting` holds `crop`, `batch` and what of the recipe changes the cost of a step.
    """

    name: str
    study: str
    model: dict[str, Any]
    setting: dict[str, Any]


@dataclass(frozen=True)
class Experiments:
    """All runs, scorings, rows and architectures of the selected studies, each of them once."""

    runs: dict[str, Run]
    scorings: dict[str, Scoring]
    rows: dict[str, list[Row]]
    architectures: dict[str, Architecture]
