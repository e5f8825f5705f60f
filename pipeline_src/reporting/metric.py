"""What a number that a table can show is: its name, its meaning, and where it stands in a result file.

Tasks and users declare theirs; `metric_table.py` holds all of them. Standard library only, since planning
reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

RUN_FILES = ("metrics", "evaluate", "train", "log", "curve")
"""Result files of a run: metrics.json, the sidecars of its evaluation and training, log.csv and curve.csv."""

ResultFile = Literal["metrics", "evaluate", "train", "log", "curve", "cost", "timing"]
"""A file of a run; or cost.json or timing.json of an architecture, of which the latter differs by machine."""


@dataclass(frozen=True)
class Source:
    """One number of a result file.

    `keys` lead to it in a JSON `file`; or `compute` finds it in the file, whose path it is given, and may
    say None where it is undefined. The long tables hold it under `name`, times `factor`, in `stored_unit`; a
    table shows that value over `divisor`, in `unit`, with `digits` decimals. `meaning` says what it is.
    `spread` are the lower and upper quartile of a repeated measurement.
    """

    name: str
    file: ResultFile
    keys: tuple[str | int, ...] = ()
    meaning: str = ""
    unit: str = "%"
    stored_unit: str = "%"
    factor: float = 1
    divisor: float = 1
    digits: int = 2
    spread: tuple["Source", ...] = ()
    compute: Callable[[str], float | None] | None = None

    @property
    def timed(self) -> bool:
        """Whether it differs from machine to machine."""
        return self.file == "timing"

    def text(self, number: float) -> str:
        """A number of the file as a table prints it, without its unit."""
        return f"{self.factor * number / self.divisor:.{self.digits}f}"


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Of `sources` the first one is taken that was measured for every row, so that a column never mixes two
    quantities. `tasks` have the metric; None: every task has it. A task that declares one leaves them out. A
    `headline` stands in the list of runs, and of several tasks in that of the first.

    One of the user's own is an instance in a file of theirs, named under `components:` as `metric.<name>`.
    """

    name: str
    header: str
    sources: tuple[Source, ...]
    better: Literal["higher", "lower"]
    tasks: tuple[str, ...] | None = None
    headline: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError(f"metric {self.name} has no sources; give at least one")

    @property
    def kind(self) -> Literal["score", "cost"]:
        """A `score` belongs to a run, and a table shows its mean over seeds; a `cost` to an architecture."""
        return "score" if self.sources[0].file in RUN_FILES else "cost"


def fraction(name: str, meaning: str = "") -> Source:
    """A score that `metrics.json` holds under its name as a fraction, and that is printed in percent."""
    return Source(name, "metrics", (name,), meaning, factor=100)


def score(name: str, header: str, meaning: str, headline: bool = False) -> Metric:
    """A score of `metrics.json` under its name, the higher the better, as a task declares it."""
    return Metric(name, header, (fraction(name, meaning),), "higher", headline=headline)
