"""Joins a study's long tables with the paper's numbers: the values of every cell of a table.

How verdicts come about is said in `paper_verdict.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from pipeline_src.reporting.baseline_answers import COLLAPSED, NO_EVIDENCE, Answer, answer_rows
from pipeline_src.reporting.collapse import collapsed
from pipeline_src.reporting.intervals import paired_difference, summarise
from pipeline_src.reporting.long_table import TIMED_COLUMNS
from pipeline_src.reporting.metric import Metric, Source
from pipeline_src.reporting.metric_table import metric_named
from pipeline_src.reporting.paper_verdict import Verdict, judge_ratio, judge_score
from pipeline_src.reporting.reference import SERVER_SPLITS
from pipeline_src.reporting.report_params import DIFFERENCE, Printed, Rules, Scale
from pipeline_src.reporting.row_params import TableRow
from pipeline_src.reporting.row_status import DONE, SERVER_ONLY
from pipeline_src.reporting.table import Column, CostCell, Line, ScoreCell, Values


class Comparison:
    """All values of one table.

    `measured` are the lines of both long tables that belong to it; `paper` are the printed numbers;
    `split` is the split of the data that we evaluate on. `controls` are rows whose answer is known
    beforehand, with that answer; None: there is a paper to compare with, so no row is asked for an answer.
    """

    def __init__(
        self,
        rows: list[TableRow],
        measured: pd.DataFrame,
        paper: list[Printed],
        scale: Scale,
        rules: Rules,
        split: str = "val",
        controls: Mapping[str, str] | None = None,
    ):
        self.rows = rows
        self.scale = scale
        self.rules = rules
        self.split = split
        self.controls = controls
        self._paper = {(one.row, one.metric): one for one in paper if one.kind != DIFFERENCE}
        # by the split that we evaluate on, or another one: a server's
        self._stated = {
            (one.row, one.metric, one.split == split): one for one in paper if one.kind == DIFFERENCE
        }
        of_runs = measured["seed"].notna()
        scores, costs = measured[of_runs], measured[~of_runs].reindex(columns=TIMED_COLUMNS)
        self._scores: dict[tuple[str, str], dict[Any, float]] = {
            (str(row), str(metric)): dict(zip(lines["seed"], lines["value"], strict=True))
            for (row, metric), lines in scores.groupby(["row", "metric"])
        }
        self._costs = costs.set_index(["row", "metric"])["value"].to_dict()
        self._devices = costs.dropna(subset="device").groupby("metric")["device"].unique()

    def table(self, metrics: list[str], quoted: Sequence[Printed] = ()) -> Values:
        """The values of a table with these columns; `quoted` stand beside them."""
        columns = [(metric, self._source(metric)) for metric in map(metric_named, metrics)]
        answers = {metric.name: self._answers(metric, source) for metric, source in columns}
        return Values(
            confidence=self.rules.confidence,
            columns=[self._column(metric, source) for metric, source in columns],
            rows=[
                Line(
                    row=row.name,
                    baseline_row=row.baseline,
                    is_baseline=row.is_baseline,
                    pair=row.pair,
                    status=row.status,
                    reason=row.reason,
                    architecture=row.architecture,
                    runs=[run.name for run in row.runs],
                    cells={
                        metric.name: self._cell(row, metric, source, answers[metric.name].get(row.name))
                        for metric, source in columns
                    },
                )
                for row in self.rows
            ],
            quoted=list(quoted),
        )

    def _source(self, metric: Metric) -> Source:
        """The first source that every measured row has; the last one where there is none."""
        measured = [row for row in self.rows if row.architecture is not None]
        for source in metric.sources:
            if all((row.name, source.name) in self._costs for row in measured):
                return source
        return metric.sources[-1]

    def _column(self, metric: Metric, source: Source) -> Column:
        values = [one for one in self._paper.values() if one.metric == metric.name]
        stated = [one for (_, name, here), one in self._stated.items() if name == metric.name and here]
        printed = values or stated
        devices = sorted(set(self._devices.get(source.name, ())) - {""})
        return Column(
            key=metric.name,
            header=metric.header,
            kind=metric.kind,
            unit=source.unit,
            digits=source.digits,
            meaning=source.meaning,
            better=metric.better,
            timed=source.timed,
            devices=devices if source.timed else [],
            published=bool(printed),
            paper_unit=printed[0].unit if printed else None,
            paper_split=(printed[0].split or None) if printed else None,
            paper_digits=max((_decimals(one.value) for one in printed), default=0),
            paper_source=printed[0].source if printed else None,
        )

    def _answers(self, metric: Metric, source: Source) -> dict[str, Answer]:
        """The answer of every row beside its baseline; none where there is a paper, or for a cost."""
        if self.controls is None or metric.kind == "cost":
            return {}
        known = [row for row, expected in self.controls.items() if expected != NO_EVIDENCE]
        found: dict[str, Answer] = {}
        for baseline in [row for row in self.rows if row.is_baseline and self._values(row, source)]:
            rows = [baseline, *(row for row in self.rows if row.baseline == baseline.name)]
            found |= answer_rows(
                {row.name: values for row in rows if (values := self._values(row, source))},
                baseline.name,
                better=metric.better,
                collapsed=[row.name for row in rows if collapsed(row, self._scores)],
                known=known,
                confidence=self.rules.confidence,
                minimum_seeds=self.rules.minimum_seeds,
            )
        return found

    def _collapsed_beside(self, row: TableRow) -> str:
        """The row, or the baseline that it is compared with, whose runs collapsed; empty: neither."""
        compared = [row, *(other for other in self.rows if other.name == row.baseline)]
        return next((one.name for one in compared if collapsed(one, self._scores)), "")

    def _cell(
        self, row: TableRow, metric: Metric, source: Source, answer: Answer | None
    ) -> ScoreCell | CostCell:
        if metric.kind == "score":
            return replace(self._score_cell(row, metric, source), answer=answer)
        return self._cost_cell(row, metric, source)

    def _printed(self, row: str | None, metric: str) -> float | None:
        found = self._paper.get((row, metric)) if row is not None else None
        return None if found is None else found.value

    def _score_cell(self, row: TableRow, metric: Metric, source: Source) -> ScoreCell:
        ours_by_seed = self._values(row, source)
        ours = summarise(list(ours_by_seed.values()), self.rules.confidence) if ours_by_seed else None
        paper = self._printed(row.name, metric.name)
        difference, paper_difference = None, None
        if not row.is_baseline:
            baseline = next(other for other in self.rows if other.name == row.baseline)
            difference = paired_difference(
                ours_by_seed, self._values(baseline, source), self.rules.confidence
            )
            paper_baseline = self._printed(row.baseline, metric.name)
            if paper is not None and paper_baseline is not None:
                paper_difference = paper - paper_baseline
            elif stated := self._stated.get((row.name, metric.name, True)):
                paper_difference = stated.value
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
        if verdict.judged and (culprit := self._collapsed_beside(row)):
            verdict = Verdict(COLLAPSED, f"{culprit} predicts one class, or finds nothing")
        if ours is None and row.status == DONE and any(name == row.name for name, _ in self._scores):
            verdict = Verdict("undefined", "there is nothing to score, such as no object of that size")
        split = self._paper[row.name, metric.name].split if paper is not None else None
        elsewhere = self._stated.get((row.name, metric.name, False))
        hidden = elsewhere.split if elsewhere is not None else split
        on_server = hidden in SERVER_SPLITS and hidden != self.split and self.scale.comparable
        return ScoreCell(
            mean=ours.mean if ours else None,
            sd=ours.sd if ours else None,
            n=ours.n if ours else 0,
            interval=list(ours.interval) if ours and ours.interval else None,
            paper=paper,
            difference=None if ours is None or paper is None else ours.mean - paper,
            baseline_difference=difference,
            paper_baseline_difference=paper_difference,
            verdict=verdict.verdict,
            reason=verdict.reason,
            paper_split=split or None,
            server_verdict=SERVER_ONLY if on_server else None,
            server_difference=elsewhere.value if elsewhere is not None else None,
            server_split=hidden if on_server else None,
            runs=[run.name for run in row.runs if run.seed in ours_by_seed],
        )

    def _cost_cell(self, row: TableRow, metric: Metric, source: Source) -> CostCell:
        value = self._costs.get((row.name, source.name))
        reference = row.baseline or row.name
        baseline = self._costs.get((reference, source.name))
        paper = self._printed(row.name, metric.name)
        paper_baseline = self._printed(reference, metric.name)
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
        return CostCell(
            mean=None if value is None else value / source.divisor,
            quartiles=self._quartiles(row, source),
            ratio=ratio,
            paper=paper,
            paper_ratio=paper_ratio,
            difference=None if ratio is None or paper_ratio is None else ratio - paper_ratio,
            verdict=verdict.verdict,
            reason=verdict.reason,
            architecture=row.architecture if value is not None else None,
            noisy=ratio is not None and (self._noisy(row.name, source) or self._noisy(reference, source)),
        )

    def _noisy(self, row: str, source: Source) -> bool:
        """Whether the repeated times of a row lie further apart than the rules allow, beside their median."""
        median = self._costs.get((row, source.name))
        quartiles = [self._costs.get((row, quartile.name)) for quartile in source.spread]
        if not median or len(quartiles) != 2 or None in quartiles:
            return False
        low, high = (float(value or 0) for value in quartiles)
        return (high - low) / median > self.rules.noise

    def _quartiles(self, row: TableRow, source: Source) -> list[float] | None:
        found = [self._costs.get((row.name, quartile.name)) for quartile in source.spread]
        values = [value / source.divisor for value in found if value is not None]
        return values if len(values) == 2 else None

    def _values(self, row: TableRow, source: Source) -> dict[int, float]:
        """Value by seed, of the row's own runs only."""
        found = self._scores.get((row.name, source.name), {}) if row.status == DONE else {}
        return {run.seed: found[run.seed] for run in row.runs if run.seed in found}


def _decimals(value: float) -> int:
    """Decimals that a printed number needs: 2 for 63.79."""
    return len(f"{value:.10g}".partition(".")[2])
