"""The jobs that summarise: tidy tables, tables beside the papers' numbers, figures, the report."""

import json
from typing import Any

from pipeline_src.config.expand import Row
from pipeline_src.config.study import Figure, Params, Study, Table
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.reporting.reference import (
    assumptions_of,
    paper_values_of,
    read_assumptions,
    read_paper_values,
)

PAPER_VALUES = "workflow/reference/paper_values.csv"
ASSUMPTIONS = "workflow/reference/assumptions.csv"

PAPER_DATASETS = {"voc2012": "PASCAL VOC2012"}


def plan_everything(params: Params, look: bool = True) -> Plan:
    """Every job of a scale, the report last. See `GraphBuilder` for `look`."""
    return Summaries(GraphBuilder(params, look)).build()


class Summaries:
    """Adds to a plan of experiments what is made of them."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self.params = graph.params
        self.paths = graph.paths
        self.paper_values = read_paper_values(PAPER_VALUES)
        self.assumptions = read_assumptions(ASSUMPTIONS)

    def build(self) -> Plan:
        """Plan experiments and summaries."""
        self.graph.build()
        tidy = [self.tabulate(key) for key in self.graph.experiments.rows]
        joined = self.join(tidy)
        tables, figures = [], []
        for key in self.graph.experiments.rows:
            study = self.params.studies[key]
            tables += [self.table(key, study, table) for table in study.tables]
            figures += [self.figure(key, study, figure) for figure in study.figures]
        self.report(joined, tables, figures)
        return self.graph.plan

    # --- one study ----------------------------------------------------------------------------

    def tabulate(self, key: str) -> PlannedJob:
        """The tidy tables of a study."""
        rows = self.graph.experiments.rows[key]
        architectures = list(dict.fromkeys(row.architecture for row in rows))
        return self._add(
            "tabulate",
            key,
            params={
                "study": key,
                "tables": [f"{key}_table{table.number}" for table in self.params.studies[key].tables],
                "rows": self._rows(rows),
                "architectures": architectures,
            },
            inputs={
                "metrics": [self.paths.run(run, "metrics.json") for row in rows for run in row.runs],
                "cost": [self.paths.cost(name, "cost.json") for name in architectures],
                "timing": [self.paths.cost(name, "timing.json") for name in architectures],
            },
            outputs={
                "sidecar": self.paths.results("studies", key, "sidecar.json"),
                "experiments": self.paths.results("studies", key, "experiments.csv"),
                "timed": self.paths.results("studies", key, "experiments_timed.csv"),
            },
        )

    def join(self, tidy: list[PlannedJob]) -> PlannedJob:
        """The tidy tables of all studies in one."""
        return self._add(
            "join",
            "experiments",
            params={"studies": [job.name for job in tidy]},
            inputs={
                "experiments": [job.outputs["experiments"] for job in tidy],
                "timed": [job.outputs["timed"] for job in tidy],
            },
            outputs={
                "sidecar": self.paths.results("experiments.json"),
                "experiments": self.paths.results("experiments.csv"),
                "timed": self.paths.results("experiments_timed.csv"),
                "metrics": self.paths.results("metrics.json"),
            },
        )

    def table(self, key: str, study: Study, table: Table) -> PlannedJob:
        """One table of a study."""
        name = f"{key}_table{table.number}"
        rows = self.graph.experiments.rows[key]
        return self._add(
            "table",
            name,
            params={
                "study": key,
                "table": name,
                "number": table.number if study.paper else None,
                "title": table.title,
                "row_header": table.row_header,
                "metrics": table.metrics,
                "note": table.note,
                "rows": self._rows(rows),
                "cost": self._cost_settings(rows),
                "weights": self._weights(rows),
                "assumptions": [
                    {**row, "value": self._switched(row)}
                    for row in assumptions_of(self.assumptions, self._paper_table(study, table))
                ],
                "verdicts": self.params.verdicts.model_dump(),
                **self._comparison(study, table),
            },
            inputs=self._tidy_inputs(key),
            outputs={
                "sidecar": self.paths.results("tables", f"{name}.json"),
                **{kind: self.paths.results("tables", f"{name}.{kind}") for kind in ("csv", "md", "tex")},
            },
        )

    def figure(self, key: str, study: Study, figure: Figure) -> PlannedJob:
        """One figure of a study, with the inputs that its kind asks for."""
        name = f"{key}_{figure.subject}"
        rows = self._figure_rows(key, figure)
        runs = [run for row in rows for run in row.runs]
        params: dict[str, Any] = {
            "study": key,
            "figure": name,
            "kind": figure.kind,
            "title": figure.title,
            "row_header": study.tables[0].row_header if study.tables else "row",
            "rows": self._rows(rows),
            "scale": self._scale(),
            "compared": bool(study.paper),
        }
        inputs: dict[str, str | list[str]]
        if figure.kind == "tradeoff":
            table = study.tables[0] if study.tables else None
            params |= self._comparison(study, table)
            inputs = self._tidy_inputs(key)
        elif figure.kind == "curves":
            inputs = {
                "log": [self.paths.run(run, "log.csv") for run in runs],
                "curve": [self.paths.run(run, "curve.csv") for run in runs],
            }
        else:
            params["images"] = self.params.evaluation.overlays
            inputs = {"evaluate": [self.paths.run(run, "evaluate.json") for run in runs]}
        return self._add(
            "figure",
            name,
            params=params,
            inputs=inputs,
            outputs={
                "sidecar": self.paths.results("figures", f"{name}.json"),
                **{kind: self.paths.results("figures", f"{name}.{kind}") for kind in ("svg", "png", "csv")},
            },
            components=(f"figure.{figure.kind}",),
        )

    # --- all studies --------------------------------------------------------------------------

    def report(self, joined: PlannedJob, tables: list[PlannedJob], figures: list[PlannedJob]) -> PlannedJob:
        """The page that shows everything."""
        experiments = self.graph.experiments
        row_of = {
            run: row for rows in experiments.rows.values() for row in reversed(rows) for run in row.runs
        }
        studies = [
            {
                "study": key,
                "title": self.params.studies[key].title,
                "tables": [job.name for job in tables if job.params["study"] == key],
                "figures": [job.name for job in figures if job.params["study"] == key],
            }
            for key in experiments.rows
        ]
        papers = {self.params.studies[key].paper for key in experiments.rows}
        return self._add(
            "report",
            "report",
            params={
                "title": "Fusebench",
                "scale": self._scale(),
                "studies": studies,
                "runs": [
                    {"run": run.name, "row": row_of[run.name].label, "seed": run.seed}
                    for run in experiments.runs.values()
                ],
                "architectures": list(experiments.architectures),
                "assumptions": [
                    {**row, "value": self._switched(row)}
                    for row in self.assumptions
                    if row["study"] in papers
                ],
                "verdicts": self.params.verdicts.model_dump(),
            },
            inputs={
                "tables": [job.sidecar for job in tables],
                "figures": [job.sidecar for job in figures],
                "experiments": joined.outputs["experiments"],
                "train": [self.paths.run(run, "train.json") for run in experiments.runs],
                "evaluate": [self.paths.run(run, "evaluate.json") for run in experiments.runs],
                "cost": [self.paths.cost(name, "sidecar.json") for name in experiments.architectures],
                "manifests": [job.sidecar for job in self.graph.plan.of("manifest")],
            },
            outputs={
                "sidecar": self.paths.results("report.json"),
                "report": self.paths.results("report.html"),
            },
        )

    # --- parts of parameters ------------------------------------------------------------------

    def _add(
        self,
        step: str,
        name: str,
        params: dict[str, Any],
        inputs: dict[str, str | list[str]],
        outputs: dict[str, str],
        components: tuple[str, ...] = (),
    ) -> PlannedJob:
        return self.graph.plan.add(
            PlannedJob(
                step=step,
                name=name,
                scale=self.params.scale,
                params=params,
                inputs=inputs,
                outputs=outputs,
                components=components,
            )
        )

    def _rows(self, rows: list[Row]) -> list[dict[str, Any]]:
        return [
            {
                "row": row.label,
                "architecture": row.architecture,
                "baseline_row": row.baseline,
                "runs": [{"run": run, "seed": seed} for run, seed in zip(row.runs, row.seeds, strict=True)],
            }
            for row in rows
        ]

    def _figure_rows(self, key: str, figure: Figure) -> list[Row]:
        rows = self.graph.experiments.rows[key]
        if figure.rows is not None:
            by_label = {row.label: row for row in rows}
            return [by_label[label] for label in figure.rows]
        return rows if figure.kind != "predictions" or len(rows) < 3 else [rows[0], rows[-1]]

    def _scale(self) -> dict[str, Any]:
        return {
            "name": self.params.scale,
            "comparable": self.params.comparable,
            "note": self.params.scale_note,
        }

    def _comparison(self, study: Study, table: Table | None) -> dict[str, Any]:
        """What is compared with what: the scale, our data, the paper's numbers."""
        dataset = self.params.datasets[study.dataset]
        data = {"dataset": study.dataset, "split": "val", "kind": dataset.source.kind}
        if study.paper and study.dataset in PAPER_DATASETS:
            data["paper_dataset"] = PAPER_DATASETS[study.dataset]
        name = self._paper_table(study, table)
        paper = paper_values_of(self.paper_values, name) if name else []
        return {"scale": self._scale(), "data": data, "paper": paper}

    @staticmethod
    def _paper_table(study: Study, table: Table | None) -> str:
        """The paper's table that a study's table re-creates, as the reference names it."""
        return f"{study.paper}_table{table.number}" if study.paper and table else ""

    def _tidy_inputs(self, key: str) -> dict[str, str | list[str]]:
        return {
            "experiments": self.paths.results("studies", key, "experiments.csv"),
            "timed": self.paths.results("studies", key, "experiments_timed.csv"),
        }

    def _cost_settings(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Batch and crop at which costs were measured, each once."""
        settings = [self.graph.experiments.architectures[row.architecture].setting for row in rows]
        found: list[dict[str, Any]] = []
        for setting in settings:
            entry = {"batch": setting["batch"], "crop": setting["crop"]}
            if entry not in found:
                found.append(entry)
        return found

    def _switched(self, assumption: dict[str, Any]) -> str | None:
        """What an assumption's switch says here, as the file would write it; None without a switch."""
        value: Any = self.params.model_dump()
        for part in assumption["switch"].split(".") if assumption["switch"] else ():
            value = value.get(part) if isinstance(value, dict) else None
        if not assumption["switch"]:
            return None
        return value if isinstance(value, str) else json.dumps(value)

    def _weights(self, rows: list[Row]) -> list[str]:
        runs = self.graph.experiments.runs
        return sorted({runs[run].model["backbone"]["weights"] for row in rows for run in row.runs})
