"""What a kind of figure says of itself: its options, its tasks, what it reads, and which rows it shows.

Standard library only, since planning reads it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline_src.reporting.report_params import DrawFigure

if TYPE_CHECKING:
    from pipeline_src.reporting.figures.drawing import Drawing

READABLE = {
    "experiments": "the study's long table of scores and counted costs",
    "timed": "its long table of times and memory",
    "metrics": "metrics.json of every run, a list",
    "evaluate": "evaluate.json of every run, a list",
    "train": "train.json of every run, a list",
    "log": "log.csv of every run, a list",
    "curve": "curve.csv of every run, a list",
    "probe": "probe.json of every row with equalizers to calibrate, a list; the rows are these",
    "simulation": "simulation.json of what the option `simulation` asks for",
}
"""What a figure can read. Lists are parallel to the rows, see `reporting/row_params.py`."""

Inputs = Mapping[str, Any]
"""Paths by the names in `FigureKind.reads`: a string, or a list of strings where `READABLE` says so."""


@dataclass(frozen=True)
class NoOptions:
    """A figure that can be told nothing."""


class FigureKind(ABC):
    """A kind of figure: `figure.<kind>` in `pipeline_src/components.py`, in a module of its own.

    `reads` are names of `READABLE`. `tasks` are those whose studies can have the figure; empty: all. With
    `pictures` it shows single images, and unless it is told its rows, only the first row and the last.
    """

    Options: ClassVar[type] = NoOptions
    reads: ClassVar[tuple[str, ...]] = ()
    tasks: ClassVar[tuple[str, ...]] = ()
    pictures: ClassVar[bool] = False

    @staticmethod
    def metrics(options: Any, task: str) -> list[str]:
        """Names of the metrics that a figure of a study of `task` shows, as far as its options say."""
        return []

    @staticmethod
    @abstractmethod
    def draw(params: DrawFigure, options: Any, inputs: Inputs) -> "Drawing":
        """The drawing of these rows; `options` is an instance of `Options`.

        Raises `InputError` in one line for an input that does not hold what it should.
        """
