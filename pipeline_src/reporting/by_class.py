"""Where a difference comes from: the first score of a table by class, and by size where there are objects.

For tables without a paper: differences of every row from its baseline row, as means over the seeds that
both have, beside how much of each class the evaluated split has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline_src.data.read_manifest import Counted
from pipeline_src.options import from_json
from pipeline_src.reporting.table import FinishedTable, Line
from pipeline_src.reporting.table_blocks import DASH, number

MOST_ROWS = 12
"""Rows that are shown side by side; the file of all values has the others."""

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class ByClass:
    """A table of text: a line for every class, then for every size of objects.

    `what` is counted. `lines` hold a name, its count, the baseline's mean, and the difference of each of
    `rows` from it, all as text; `left_out` is the number of rows that are not shown.
    """

    table: str
    score: str
    what: str
    baseline: str
    rows: list[str]
    lines: list[list[str]]
    left_out: int


def by_class(
    table: FinishedTable, experiments: pd.DataFrame, split: Mapping[str, Any], classes: list[str]
) -> ByClass | None:
    """The first score of a table without a paper by class and size; None where there is nothing to compare.

    `experiments` is the tidy table of all studies, `split` what the manifest says of the evaluated split,
    `classes` are its names by training id.
    """
    scores = [column for column in table.columns if column.kind == "score"]
    baseline = next((row for row in table.rows if row.is_baseline and row.runs), None)
    compared = [
        row for row in table.rows if baseline and row.baseline_row == baseline.row and row is not baseline
    ]
    compared = [row for row in compared if row.runs]
    if not scores or baseline is None or not compared:
        return None
    key = scores[0].key
    prefix = "iou" if key == "miou" else key
    values = experiments[experiments["study"] == table.study]
    pivot = values.pivot_table(index="metric", columns=["row", "seed"], values="value", aggfunc="first")
    counted = from_json(Counted, split["counted"])
    shown = compared[:MOST_ROWS]
    names = [*zip(classes[counted.first :], counted.by_class, strict=False)]
    lines = [_line(pivot, f"{prefix}/{name}", name, f"{count:,}", baseline, shown) for name, count in names]
    lines += [
        _line(pivot, f"{prefix}_{size}", f"{size} objects", f"{split[size]:,}", baseline, shown)
        for size in SIZES
        if size in split
    ]
    found = [line for line in lines if line is not None]
    if not found:
        return None
    return ByClass(
        table.name, scores[0].header, counted.what, baseline.row, [row.row for row in shown], found,
        len(compared) - len(shown),
    )  # fmt: skip


def _line(
    pivot: pd.DataFrame, metric: str, name: str, count: str, baseline: Line, rows: list[Line]
) -> list[str] | None:
    if metric not in pivot.index:
        return None
    scores = pivot.loc[metric]

    def of(row: str) -> "pd.Series[float]":
        found = scores.loc[row] if row in scores.index.get_level_values(0) else pd.Series(dtype=float)
        return pd.Series(found, dtype=float).dropna()

    reference = of(baseline.row)
    texts = []
    for row in rows:
        difference = (of(row.row) - reference).dropna()
        texts.append(number(difference.mean(), 1, True) if len(difference) else DASH)
    mean = number(reference.mean(), 1) if len(reference) else DASH
    return [name, count, mean, *texts]
