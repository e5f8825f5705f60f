"""Joins a study's long tables with the paper's numbers: the values of every cell of a table.

The result is plain data (it becomes the table's JSON file). A score cell holds

    mean, sd, n, interval, paper, difference, baseline_difference {mean, interval, n},
    paper_baseline_difference, verdict, reason, paper_split, server_verdict, runs

in points, and a cost cell

    mean, quartiles, ratio, paper, paper_ratio, difference (of the ratios), verdict, reason, architecture

None stands for what does not exist. How verdicts come about is said in `verdict.py`.
"""

from typing import Any

import pandas as pd

from pipeline_src.reporting.metrics import Metric, Source, metric_named
from pipeline_src.reporting.parameters import Printed, Rules, Scale
from pipeline_src.reporting.reference import SERVER_SPLITS
from pipeline_src.reporting.rows import TableRow
from pipeline_src.reporting.statistics import Summary, paired_difference, summarise
from pipeline_src.reporting.status import DONE, SERVER_ONLY
from pipeline_src.reporting.tidy import TIMED_COLUMNS
from pipeline_src.reporting.verdict import Verdict, judge_ratio, judge_score

Cell = dict[str, Any]


class Comparison:
    """All values of one table.

    `measured` are the lines of both long tables that belong to it; `paper` are the printed numbers;
    `split` is the split of the data that we
    evaluate on.
    """

    def __init__(
        self,
        rows: list[TableRow],
        measured: pd.DataFrame,
        paper: list[Printed],
        scale: Scale,
        rules: Rules,
        split: str = "val",
    ):
        self.rows = rows
        self.scale = scale
        self.rules = rules
        self.split = split
        self._paper = {(one.row, one.metric): one for one in paper}
        of_runs = measured["seed"].notna()
        scores, costs = measured[of_runs], measured[~of_runs].reindex(columns=TIMED_COLUMNS)
        self._scores = {
            key: dict(zip(lines["seed"], lines["value"], strict=True))
            for key, lines in scores.groupby(["row", "metric"])
        }
        self._costs = costs.set_index(["row", "metric"])["value"].to_dict()
        self._devices = costs.dropna(subset="device").groupby("metric")["device"].unique()

    def table(self, metrics: list[str]) -> dict[str, Any]:
        """`{"confidence", "columns": [...], "rows": [{"row", "label", ..., "cells": {column: cell}}]}`."""
        columns = [metric_named(metric) for metric in metrics]
        sources = {column.name: self._source(column) for column in columns}
        return {
            "confidence": self.rules.confidence,
            "columns": [self._describe(column, sources[column.name]) for column in columns],
            "rows": [
                {
                    "row": row.name,
                    "label": row.name,
                    "baseline_row": row.baseline,
                    "is_baseline": row.is_baseline,
                    **({"pair": row.pair} if row.pair else {}),
                    "status": row.status,
                    "reason": row.reason,
                    "architecture": row.architecture,
                    "runs": [run.name for run in row.runs],
                    "cells": {
                        column.name: (
                            self._score_cell(row, column, sources[column.name])
                            if column.kind == "score"
                            else self._cost_cell(row, column, sources[column.name])
                        )
                        for column in columns
                    },
                }
                for row in self.rows
            ],
        }

    def _source(self, column: Metric) -> Source:
        """The first source that every measured row has; the last one where there is none."""
        measured = [row for row in self.rows if row.architecture is not None]
        for source in column.sources:
            if all((row.name, source.name) in self._costs for row in measured):
                return source
        return column.sources[-1]

    def _describe(self, column: Metric, source: Source) -> dict[str, Any]:
        printed = [one for one in self._paper.values() if one.metric == column.name]
        devices = sorted(set(self._devices.get(source.name, ())) - {""})
        return {
            "key": column.name,
            "header": column.header,
            "kind": column.kind,
            "unit": source.unit,
            "digits": source.digits,
            "meaning": source.meaning,
            "better": column.better,
            "timed": source.timed,
            "devices": devices if source.timed else [],
            "published": bool(printed),
            "paper_unit": printed[0].unit if printed else None,
            "paper_split": (printed[0].split or None) if printed else None,
            "paper_digits": max((_decimals(one.value) for one in printed), default=0),
            "paper_source": printed[0].source if printed else None,
        }

    def _printed(self, row: str | None, metric: str) -> float | None:
        found = self._paper.get((row, metric)) if row is not None else None
        return None if found is None else found.value

    def _score_cell(self, row: TableRow, column: Metric, source: Source) -> Cell:
        ours_by_seed = self._values(row, source)
        ours = summarise(list(ours_by_seed.values()), self.rules.confidence) if ours_by_seed else None
        paper = self._printed(row.name, column.name)
        difference, paper_difference = None, None
        if not row.is_baseline:
            baseline = next(other for other in self.rows if other.name == row.baseline)
            difference = paired_difference(
                ours_by_seed, self._values(baseline, source), self.rules.confidence
            )
            paper_baseline = self._printed(row.baseline, column.name)
            if paper is not None and paper_baseline is not None:
                paper_difference = paper - paper_baseline
        verdict = judge_score(
            ours,
            paper,
            difference,
            paper_difference,
            is_baseline=row.is_baseline,
            status=row.status,
            scale=self.scale,
            rules=self.rules,
        )
        if ours is None and row.status == DONE and any(name == row.name for name, _ in self._scores):
            verdict = Verdict("undefined", "there is nothing to score, such as no object of that size")
        split = self._paper[row.name, column.name].split if paper is not None else None
        on_server = split in SERVER_SPLITS and split != self.split and self.scale.comparable
        return {
            **_summary(ours),
            "paper": paper,
            "difference": None if ours is None or paper is None else ours.mean - paper,
            "baseline_difference": None if difference is None else _summary(difference),
            "paper_baseline_difference": paper_difference,
            **_judged(verdict),
            "paper_split": split or None,
            "server_verdict": SERVER_ONLY if on_server else None,
            "runs": [run.name for run in row.runs if run.seed in ours_by_seed],
        }

    def _cost_cell(self, row: TableRow, column: Metric, source: Source) -> Cell:
        value = self._costs.get((row.name, source.name))
        reference = row.baseline or row.name
        baseline = self._costs.get((reference, source.name))
        paper = self._printed(row.name, column.name)
        paper_baseline = self._printed(reference, column.name)
        ratio = value / baseline if value is not None and baseline else None
        paper_ratio = paper / paper_baseline if paper is not None and paper_baseline else None
        verdict = judge_ratio(
            ratio,
            paper_ratio,
            is_baseline=row.is_baseline,
            # A row without data is never trained, but its architecture can be measured.
            status=row.status if value is None else DONE,
            scale=self.scale,
            rules=self.rules,
        )
        return {
            "mean": None if value is None else value / source.divisor,
            "quartiles": self._quartiles(row, source),
            "ratio": ratio,
            "paper": paper,
            "paper_ratio": paper_ratio,
            "difference": None if ratio is None or paper_ratio is None else ratio - paper_ratio,
            **_judged(verdict),
            "architecture": row.architecture if value is not None else None,
        }

    def _quartiles(self, row: TableRow, source: Source) -> list[float] | None:
        found = [self._costs.get((row.name, quartile.name)) for quartile in source.spread]
        values = [value / source.divisor for value in found if value is not None]
        return values if len(values) == 2 else None

    def _values(self, row: TableRow, source: Source) -> dict[int, float]:
        """Value by seed, of the row's own runs only."""
        found = self._scores.get((row.name, source.name), {}) if row.status == DONE else {}
        return {run.seed: found[run.seed] for run in row.runs if run.seed in found}


def _summary(summary: Summary | None) -> dict[str, Any]:
    if summary is None:
        return {"mean": None, "sd": None, "n": 0, "interval": None}
    interval = None if summary.interval is None else list(summary.interval)
    return {"mean": summary.mean, "sd": summary.sd, "n": summary.n, "interval": interval}


def _judged(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.verdict, "reason": verdict.reason}


def _decimals(value: float) -> int:
    """Decimals that a printed number needs: 2 for 63.79."""
    return len(f"{value:.10g}".partition(".")[2])
