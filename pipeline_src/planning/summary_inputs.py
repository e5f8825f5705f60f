"""What the planning of tables, figures and the report has in common."""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from pipeline_src.config.experiments import Row
from pipeline_src.config.study import Study, Table
from pipeline_src.options import to_json
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.steps import EVALUATE, TABULATE, TRAIN
from pipeline_src.reporting.metric_table import METRICS
from pipeline_src.reporting.reference import (
    assumption_of,
    printed_in,
    read_assumptions,
    read_paper_values,
    read_quoted_values,
)
from pipeline_src.reporting.report_params import (
    Assumption,
    CostSetting,
    EvaluatedData,
    Printed,
    Scale,
    Testing,
)
from pipeline_src.reporting.row_params import RowRun, TableRow
from pipeline_src.reporting.row_status import DONE, NOT_AT_THIS_SCALE

PAPER_VALUES = "workflow/reference/paper_values.csv"
QUOTED_VALUES = "workflow/reference/quoted_values.csv"
ASSUMPTIONS = "workflow/reference/assumptions.csv"


class SummaryJobs:
    """Adds summarising jobs to a plan; the parts of their parameters that several kinds need."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self.params = graph.params
        self.plan = graph.plan
        self.paper_values = read_paper_values(PAPER_VALUES)
        self.quoted_values = read_quoted_values(QUOTED_VALUES)
        self.assumptions = read_assumptions(ASSUMPTIONS)

    def own(self, metrics: Iterable[str]) -> tuple[str, ...]:
        """The components of those metrics that are the user's own."""
        return tuple(f"metric.{name}" for name in dict.fromkeys(metrics) if name not in METRICS)

    def rows_of(self, rows: list[Row]) -> list[TableRow]:
        """The rows, with their baselines where these are among them; runs have their scorings' names."""
        labels = {row.label for row in rows}
        return [
            TableRow(
                name=row.label,
                architecture=row.architecture,
                baseline=row.baseline if row.baseline in labels else None,
                runs=[RowRun(name, seed) for name, seed in zip(row.scorings, row.seeds, strict=True)],
                status=row.status or DONE,
                reason=row.reason,
                pair=row.pair,
                init_from=self._start(row),
            )
            for row in rows
        ]

    def _start(self, row: Row) -> str | None:
        """The run whose weights the runs of a row start from."""
        return self.graph.experiments.runs[row.runs[0]].init_from if row.runs else None

    def fixed_at_random(self, rows: list[Row]) -> str | None:
        """What detectors of these rows keep fixed of a backbone without weights; None where nothing is."""
        runs = [self.graph.experiments.runs[run] for row in rows for run in row.runs]
        detectors = [
            run.model["detector"]
            for run in runs
            if run.model["detector"] and run.model["backbone"]["weights"] == "none" and not run.init_from
        ]
        stages = max(
            (one["frozen_stages"] for one in detectors if one["frozen_stages"] is not None), default=None
        )
        parts = ["batch normalisation"] if any(one["frozen_norm"] for one in detectors) else []
        if stages is not None:
            parts.append(
                "the stem" if stages == 0 else f"the stem and stage 1{f' to {stages}' if stages > 1 else ''}"
            )
        return " and ".join(parts) or None

    def scale(self) -> Scale:
        """The scale, as captions name it."""
        return Scale(self.params.scale, self.params.comparable, self.params.scale_note)

    def data(self, key: str) -> EvaluatedData:
        """The data that a study's scores are measured on, and how."""
        study, rows = self.params.studies[key], self.graph.experiments.rows[key]
        names = list(dict.fromkeys(row.dataset for row in rows))
        made = list(dict.fromkeys(row.dataset for row in rows if row.status != NOT_AT_THIS_SCALE))
        kinds = {self.params.datasets[name].source.kind for name in made}
        titles = [self.params.datasets[name].title for name in names]
        return EvaluatedData(
            dataset=" and ".join(made),
            split="val",
            task=self.params.task_of(study),
            kind=kinds.pop() if len(kinds) == 1 else "",
            paper_dataset=" and ".join(filter(None, titles)) if study.paper and all(titles) else None,
            testing=self._testing(rows),
        )

    def _testing(self, rows: list[Row]) -> list[Testing]:
        """The ways in which the rows are evaluated, each once, with the number of rows."""
        ways: list[dict[str, Any]] = []
        for row in rows:
            for scoring in row.scorings[:1]:
                evaluation = to_json(self.graph.experiments.scorings[scoring].evaluation)
                ways.append({key: value for key, value in evaluation.items() if key != "overlays"})
        different = [way for place, way in enumerate(ways) if way not in ways[:place]]
        return [Testing(rows=ways.count(way), **way) for way in different]

    def printed(self, study: Study, table: Table | None) -> list[Printed]:
        """The paper's numbers for a table."""
        return printed_in(self.paper_values, self.paper_table(study, table))

    @staticmethod
    def paper_table(study: Study, table: Table | None) -> str:
        """The paper's table that a study's table re-creates, as the reference names it."""
        return f"{study.paper}_table{table.number}" if study.paper and table else ""

    def of_runs(self, file: str, rows: Iterable[Row]) -> list[str]:
        """A result file of `RUN_FILES` of every run of the rows, or of its evaluation there."""
        output = "sidecar" if file in ("evaluate", "train") else file
        if file in ("metrics", "evaluate"):
            return [self.plan.path(EVALUATE, output, one) for row in rows for one in row.scorings]
        return [self.plan.path(TRAIN, output, run) for row in rows for run in row.runs]

    def tidy_inputs(self, key: str) -> dict[str, str | list[str]]:
        """The tidy tables of a study."""
        return {name: self.plan.path(TABULATE, name, key) for name in ("experiments", "timed")}

    def cost_settings(self, rows: list[Row]) -> list[CostSetting]:
        """Batch and crop at which costs were measured, each once."""
        settings = [
            self.graph.experiments.architectures[row.architecture].setting for row in rows if row.architecture
        ]
        found = [CostSetting(setting["batch"], list(setting["crop"])) for setting in settings]
        return [one for place, one in enumerate(found) if one not in found[:place]]

    def assumptions_under(self, key: str, table: str) -> list[Assumption]:
        """The assumptions of a paper's table that a study re-creates, with what each switch says here."""
        return [self._assumption(row, [key], key) for row in self.assumptions if table in row["tables"]]

    def table_assumed(self, key: str, table: Table) -> str:
        """The name by which assumptions know a table: the paper's, or our own where no paper prints it."""
        return self.paper_table(self.params.studies[key], table) or self.params.table_name(key, table)

    def assumptions_of_papers(self, keys: Iterable[str]) -> list[Assumption]:
        """The assumptions of the papers that studies re-create; a switch of a study names any of them."""
        studies = {key: self.params.studies[key] for key in keys}
        papers = {study.paper for study in studies.values()}
        tables = {
            key: {self.table_assumed(key, table) for table in study.tables} for key, study in studies.items()
        }
        return [
            self._assumption(row, [key for key in studies if tables[key] & set(row["tables"])], "<study>")
            for row in self.assumptions
            if row["study"] in papers
        ]

    def _assumption(self, row: dict[str, Any], keys: list[str], study: str) -> Assumption:
        switch = row["switch"].replace("{study}", study)
        return replace(assumption_of(row), switch=switch, value=self.switched(row["switch"], keys))

    def switched(self, switch: str, studies: Iterable[str] = ()) -> str | None:
        """What an assumption's switch says here, as the file would write it; None without a switch.

        `{study}` in it stands for each of `studies`. Of several keys with different values, every key
        with its value.
        """
        keys = [
            key.replace("{study}", study)
            for key in switch.split()
            for study in (studies if "{study}" in key else [""])
        ]
        values = {key: self._written(key) for key in keys}
        if len(set(values.values())) <= 1:
            return next(iter(values.values()), None)
        return "; ".join(f"{key}: {value}" for key, value in values.items())

    def _written(self, key: str) -> str:
        value: Any = self._all_params
        for part in key.split("."):
            if isinstance(value, list) and part.isdigit():
                value = dict(enumerate(value)).get(int(part))
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, str) else json.dumps(value)

    def weights(self, rows: list[Row]) -> list[str]:
        """Where the backbones' weights of these rows come from."""
        runs = self.graph.experiments.runs
        return sorted({runs[run].model["backbone"]["weights"] for row in rows for run in row.runs})

    @cached_property
    def _all_params(self) -> dict[str, Any]:
        return self.params.model_dump()
