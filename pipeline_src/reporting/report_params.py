"""What the planner tells the reporting steps: dataclasses that stand as JSON in a job file's `params`.

A job reads them with `from_json` of `pipeline_src/options.py`. Standard library only.
"""

from dataclasses import dataclass, field
from typing import Any

from pipeline_src.options import PositiveFloat, option
from pipeline_src.reporting.row_params import TableRow


@dataclass(frozen=True)
class Scale:
    """A scale, with its note, and whether its numbers may stand beside a paper's."""

    name: str
    comparable: bool
    note: str = ""


@dataclass(frozen=True)
class Rules:
    """Rules of the verdict column, fixed in advance."""

    points: PositiveFloat = option(1.0, "Tolerance on mIoU or AP, in points.")
    ratio: PositiveFloat = option(0.10, "Tolerance on cost ratios, relative.")
    confidence: float = option(0.95, "Level of the t-intervals.", gt=0, lt=1)
    minimum_seeds: int = option(3, "With fewer seeds the verdict is `inconclusive`.", ge=2)
    noise: PositiveFloat = option(
        0.2, "Distance of the quartiles of repeated times, over their median, above which a ratio is `noisy`."
    )


DIFFERENCE = "difference"
"""The kind of a printed number that is no value but a distance from the baseline."""


@dataclass(frozen=True)
class Printed:
    """A number that a paper prints; of a row of others that it quotes, with the `group` it stands in.

    `kind` is `DIFFERENCE` where it is how far the row is from its baseline, whose value nobody prints.
    """

    row: str
    metric: str
    value: float
    unit: str
    split: str
    source: str = ""
    group: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Assumption:
    """A choice where a paper is silent; `value` is what its switch is set to here."""

    id: str
    study: str
    text: str
    reason: str
    switch: str
    default: str
    value: str | None = None


@dataclass(frozen=True)
class Testing:
    """A way to evaluate, from a resolved `evaluation`, and of how many rows it is."""

    rows: int
    mode: str = "whole"
    window: list[int] | None = None
    stride: list[int] | None = None
    resize: list[int] | None = None
    scales: list[list[int]] | None = None


@dataclass(frozen=True)
class EvaluatedData:
    """The data that scores are measured on.

    `kind` is that of its source (empty where there are several), `paper_dataset` the paper's data set.
    """

    dataset: str
    split: str
    task: str
    kind: str = ""
    paper_dataset: str | None = None
    testing: list[Testing] = field(default_factory=list)


@dataclass(frozen=True)
class CostSetting:
    """What costs were measured at: images of a step, and their height and width."""

    batch: int
    crop: list[int]


@dataclass(frozen=True)
class Tabulate:
    """Step `tabulate`: a study's rows, the tables that show them, and the architectures that they name.

    `own_metrics` are those outside the package that the study shows.
    """

    study: str
    tables: list[str]
    rows: list[TableRow]
    architectures: list[str]
    own_metrics: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Join:
    """Step `join`: the score of every study by which commits are compared."""

    scores: dict[str, str]


@dataclass(frozen=True)
class MakeTable:
    """Step `table`. `number` is the paper's; None: a study of one's own.

    `quoted` are rows of others that the paper prints. `weights` are the kinds of the backbones' weights,
    and `fixed_at_random` says what of a backbone without weights never learned. `controls` are rows whose
    answer is known beforehand, with that answer.
    """

    study: str
    table: str
    number: int | None
    title: str
    row_header: str
    metrics: list[str]
    rows: list[TableRow]
    scale: Scale
    data: EvaluatedData
    costs: list[CostSetting]
    paper: list[Printed]
    quoted: list[Printed]
    assumptions: list[Assumption]
    weights: list[str]
    rules: Rules
    fixed_at_random: str | None = None
    note: str = ""
    controls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DrawFigure:
    """Step `figure`. `options` are those of its kind; `compared`: whether the study has a paper.

    Only what the kind reads is filled in: `paper` and `split` beside the tidy tables, `images` (how many
    every evaluation kept) beside evaluations. `rows` are those that it shows.
    """

    study: str
    figure: str
    kind: str
    title: str
    task: str
    scale: Scale
    compared: bool
    row_header: str
    rows: list[TableRow]
    options: dict[str, Any] = field(default_factory=dict)
    paper: list[Printed] = field(default_factory=list)
    split: str = "val"
    images: int = 0
    rules: Rules = Rules()


@dataclass(frozen=True)
class StudyPart:
    """A study on the page: its tables and figures by name."""

    study: str
    title: str
    tables: list[str]
    figures: list[str]


@dataclass(frozen=True)
class ListedRun:
    """A run in the page's list."""

    name: str
    row: str
    seed: int


@dataclass(frozen=True)
class Report:
    """Step `report`: the page of a scale; every run and architecture once.

    `ideas` are the names of what the studies compare, each with a sentence on what it is.
    """

    title: str
    scale: Scale
    studies: list[StudyPart]
    runs: list[ListedRun]
    architectures: list[str]
    assumptions: list[Assumption]
    rules: Rules
    ideas: list[tuple[str, str]] = field(default_factory=list)
