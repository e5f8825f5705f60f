"""A finished table: every value of it, and the blocks of text that are printed.

Step `table` leaves it in its sidecar under `"table"`, as the JSON of `FinishedTable`. None stands for what
does not exist.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline_src.reporting.baseline_answers import Answer
from pipeline_src.reporting.intervals import Summary
from pipeline_src.reporting.report_params import Assumption, Printed


@dataclass(frozen=True)
class Column:
    """A metric as the table shows it: how it was measured here, and how the paper prints it.

    `published`: whether the paper has a value of it; `devices` are named for timed values only.
    """

    key: str
    header: str
    kind: Literal["score", "cost"]
    unit: str
    digits: int
    meaning: str
    better: str
    timed: bool
    devices: list[str]
    published: bool
    paper_unit: str | None
    paper_split: str | None
    paper_digits: int
    paper_source: str | None


@dataclass(frozen=True)
class ScoreCell:
    """A score in points: mean, spread and t-interval over seeds, beside the paper's value.

    `difference` is ours minus the paper's, `baseline_difference` the paired one from the row's own baseline,
    `paper_baseline_difference` the paper's, which it may state without the values. `server_verdict` is set
    where only a server can score the paper's split, `server_split`; `server_difference` is the difference
    that the paper states there. `runs` are those that have a value. `answer` is there where no paper is
    compared with.
    """

    mean: float | None
    sd: float | None
    n: int
    interval: list[float] | None
    paper: float | None
    difference: float | None
    baseline_difference: Summary | None
    paper_baseline_difference: float | None
    verdict: str | None
    reason: str
    paper_split: str | None
    server_verdict: str | None
    runs: list[str]
    server_difference: float | None = None
    server_split: str | None = None
    answer: Answer | None = None

    @property
    def gain(self) -> float | None:
        """The mean of the paired difference from the baseline."""
        return self.baseline_difference.mean if self.baseline_difference else None

    @property
    def gain_interval(self) -> tuple[float, float] | None:
        """The t-interval of the paired difference from the baseline."""
        return self.baseline_difference.interval if self.baseline_difference else None


@dataclass(frozen=True)
class CostCell:
    """A cost of an architecture: the value, its quartiles, and its ratio to the baseline row's.

    `difference` is our ratio minus the paper's. `noisy`: the repeated times behind the ratio scatter by more
    than the rules allow.
    """

    mean: float | None
    quartiles: list[float] | None
    ratio: float | None
    paper: float | None
    paper_ratio: float | None
    difference: float | None
    verdict: str | None
    reason: str
    architecture: str | None
    noisy: bool = False


@dataclass(frozen=True)
class Line:
    """A row with a cell for every column; `status` and `reason` as `TableRow` has them."""

    row: str
    baseline_row: str | None
    is_baseline: bool
    pair: str | None
    status: str
    reason: str | None
    architecture: str | None
    runs: list[str]
    cells: dict[str, ScoreCell | CostCell]

    def score(self, column: Column) -> ScoreCell:
        """The cell of a score's column."""
        cell = self.cells[column.key]
        assert isinstance(cell, ScoreCell)
        return cell

    def cost(self, column: Column) -> CostCell:
        """The cell of a cost's column."""
        cell = self.cells[column.key]
        assert isinstance(cell, CostCell)
        return cell


@dataclass(frozen=True)
class Values:
    """Everything that a table compares; `quoted` are rows of others that the paper prints."""

    confidence: float
    columns: list[Column]
    rows: list[Line]
    quoted: list[Printed]


@dataclass(frozen=True)
class BlockCell:
    """Text with what it was made from: runs, or the architecture whose cost it is; a verdict has a reason."""

    text: str
    runs: list[str] = field(default_factory=list)
    architecture: str | None = None
    verdict: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Block:
    """One printed table; `align` has a letter for each column, `l` or `r`."""

    title: str
    header: list[str]
    align: str
    rows: list[list[BlockCell]]


@dataclass(frozen=True)
class FinishedTable(Values):
    """A table as it is printed, with all its values; `findings` is what it says, in sentences."""

    name: str
    study: str
    title: str
    notes: list[str]
    blocks: list[Block]
    assumptions: list[Assumption]
    findings: list[str] = field(default_factory=list)


def untimed(table: dict[str, Any]) -> list[Any]:
    """Of a `FinishedTable` as JSON, what is the same on every machine.

    Columns of times, memory and devices are left out, and the texts that name them.
    """
    kept = [column for column in table["columns"] if not column["timed"]]
    rows = [
        {**row, "cells": {column["key"]: row["cells"][column["key"]] for column in kept}}
        for row in table["rows"]
    ]
    return [table["title"], kept, rows, table["assumptions"]]
