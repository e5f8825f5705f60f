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

PAPER_DATASETS = {
    "voc2012": "PASCAL VOC2012",
    "voc2012_aug": "PASCAL VOC2012 aug",
    "ade20k": "ADE20K",
    "cityscapes": "Cityscapes",
}


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
            drawn = [(figure, self.figure(key, study, figure)) for figure in study.figures]
            figures += [job for figure, job in drawn if not figure.on_demand]
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
                "tables": [self.params.table_name(key, table) for table in self.params.studies[key].tables],
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
        name = self.params.table_name(key, table)
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
                **self._comparison(key, study, table),
            },
            inputs=self._tidy_inputs(key),
            outputs={
                "sidecar": self.paths.results("tables", f"{name}.json"),
                **{kind: self.paths.results("tables", f"{name}.{kind}") for kind in ("csv", "md", "tex")},
            },
        )

    def figure(self, key: str, study: Study, figure: Figure) -> PlannedJob:
        """One figure of a study, with the inputs that its kind asks for."""
        name = f"{study.prefix or key}_{figure.subject}"
        rows = self._figure_rows(key, figure)
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
        inputs = self._figure_inputs(key, study, figure, name, rows, params)
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
            on_demand=figure.on_demand,
        )

    def _figure_inputs(
        self, key: str, study: Study, figure: Figure, name: str, rows: list[Row], params: dict[str, Any]
    ) -> dict[str, str | list[str]]:
        """What the figure's kind reads; adds to `params` what else it asks for."""
        runs = [run for row in rows for run in row.runs]
        match figure.kind:
            case "tradeoff":
                params |= self._comparison(key, study, study.tables[0] if study.tables else None)
                return self._tidy_inputs(key)
            case "curves":
                return {
                    "log": [self.paths.run(run, "log.csv") for run in runs],
                    "curve": [self.paths.run(run, "curve.csv") for run in runs],
                }
            case "predictions":
                params["images"] = min(
                    (self.graph.experiments.runs[run].evaluation["overlays"] for run in runs), default=0
                )
                return {"evaluate": [self.paths.run(run, "evaluate.json") for run in runs]}
            case "upsampled_variance":
                params["rows"] = []
                return {"simulation": self.simulation(figure, name).outputs["simulation"]}
        return {"probe": self._probes(key, figure, rows, params)}

    def _probes(self, key: str, figure: Figure, rows: list[Row], params: dict[str, Any]) -> list[str]:
        """Probes of the first run of every row with equalizers to calibrate; `params` names these rows."""
        found = []
        for row in rows:
            probe = self.graph.probe(self.graph.experiments.runs[row.runs[0]]) if row.runs else None
            if probe is not None:
                found.append((row, probe.outputs["probe"]))
        if not found and any(row.runs for row in rows):
            index = self.params.studies[key].figures.index(figure)
            raise self.params.wrong(
                ["studies", key, "figures", index],
                f"{figure.kind} needs a row with a model.equalizer of form folded or module",
            )
        params["rows"] = self._rows([row for row, _ in found])
        return [path for _, path in found]

    def simulation(self, figure: Figure, name: str) -> PlannedJob:
        """The job that simulates what a figure shows."""
        assert figure.simulation is not None
        threads = self.params.compute.threads
        return self.graph.plan.add(
            PlannedJob(
                step="simulate",
                name=name,
                scale=self.params.scale,
                params={**figure.simulation.model_dump(), "threads": threads},
                outputs={
                    "sidecar": self.paths.results("figures", "simulations", name, "sidecar.json"),
                    "simulation": self.paths.results("figures", "simulations", name, "simulation.json"),
                },
                threads=threads,
                on_demand=figure.on_demand,
            )
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
        on_demand: bool = False,
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
                on_demand=on_demand,
            )
        )

    def _rows(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The rows, with their baselines where these are among them."""
        labels = {row.label for row in rows}
        return [
            {
                "row": row.label,
                "architecture": row.architecture,
                "baseline_row": row.baseline if row.baseline in labels else None,
                "runs": [{"run": run, "seed": seed} for run, seed in zip(row.runs, row.seeds, strict=True)],
                **{name: value for name in ("pair", "status", "reason") if (value := getattr(row, name))},
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

    def _comparison(self, key: str, study: Study, table: Table | None) -> dict[str, Any]:
        """What is compared with what: the scale, our data, the paper's numbers."""
        names = list(dict.fromkeys(row.dataset for row in self.graph.experiments.rows[key]))
        kinds = {self.params.datasets[name].source.kind for name in names}
        data = {
            "dataset": " and ".join(names),
            "split": "val",
            "kind": kinds.pop() if len(kinds) == 1 else "",
        }
        if study.paper and all(name in PAPER_DATASETS for name in names):
            data["paper_dataset"] = " and ".join(PAPER_DATASETS[name] for name in names)
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
