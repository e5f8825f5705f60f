"""Which runs collapsed: their network predicts one class, or finds nothing."""

from collections.abc import Mapping
from typing import Any

from pipeline_src.reporting.row_params import TableRow

NOTHING_FOUND = ("ap", "mask_ap")
"""Scores that are 0 where a network finds nothing that is there."""


def collapsed(row: TableRow, scores: Mapping[tuple[str, str], Mapping[Any, float]]) -> bool:
    """Whether a run of the row predicts one class of several, or finds nothing that is there.

    `scores` are values by seed, of every row and metric; `iou/` begins the metrics of single classes.
    """
    by_class = [
        values for (name, metric), values in scores.items() if name == row.name and metric.startswith("iou/")
    ]
    for run in row.runs:
        found = [values[run.seed] for values in by_class if run.seed in values]
        if len(found) > 1 and sum(value > 0 for value in found) <= 1:
            return True
        if any(scores.get((row.name, name), {}).get(run.seed) == 0 for name in NOTHING_FOUND):
            return True
    return False
