"""The jobs that draw figures, with what each kind of figure reads."""

from typing import Any

from pipeline_src.config.experiments import Row
from pipeline_src.config.study import Figure, Study
from pipeline_src.planning.jobs import PlannedJob
from pipeline_src.planning.steps import EVALUATE, FIGURE, SIMULATE, TRAIN
from pipeline_src.planning.summary_jobs import SummaryJobs


class FigureJobs(SummaryJobs):
    """Adds figures to a plan, and the probes and simulations that they alone ask for."""

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
            "rows": self.rows_of(rows),
            "scale": self.scale(),
            "compared": bool(study.paper),
        }
        inputs = self._figure_inputs(key, study, figure, name, rows, params)
        return self.plan.create(
            FIGURE,
            name,
            params=params,
            inputs=inputs,
            components=(f"figure.{figure.kind}",),
            on_demand=figure.on_demand,
        )

    def _figure_inputs(
        self, key: str, study: Study, figure: Figure, name: str, rows: list[Row], params: dict[str, Any]
    ) -> dict[str, str | list[str]]:
        """What the figure's kind reads; adds to `params` what else it asks for."""
        runs = [run for row in rows for run in row.runs]
        scorings = [scoring for row in rows for scoring in row.scorings]
        match figure.kind:
            case "tradeoff" | "ap_by_size":
                params |= self.comparison(key, study, study.tables[0] if study.tables else None)
                params |= self._score_of(rows) if figure.kind == "tradeoff" else {}
                return self.tidy_inputs(key)
            case "curves":
                params |= self._score_of(rows)
                return {name: [self.plan.path(TRAIN, name, run) for run in runs] for name in ("log", "curve")}
            case "predictions" | "detections":
                params["images"] = min(
                    (self.graph.experiments.scorings[one].evaluation["overlays"] for one in scorings),
                    default=0,
                )
                return {"evaluate": [self.plan.path(EVALUATE, "sidecar", scoring) for scoring in scorings]}
            case "upsampled_variance":
                params["rows"] = []
                return {"simulation": self.simulation(figure, name).outputs["simulation"]}
        return {"probe": self._probes(key, figure, rows, params)}

    def _score_of(self, rows: list[Row]) -> dict[str, Any]:
        """The score that a figure shows, where it is not mIoU: AP of detectors."""
        runs = self.graph.experiments.runs
        detectors = any(runs[run].model["detector"] is not None for row in rows for run in row.runs)
        return {"score": "ap"} if detectors else {}

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
        params["rows"] = self.rows_of([row for row, _ in found])
        return [path for _, path in found]

    def simulation(self, figure: Figure, name: str) -> PlannedJob:
        """The job that simulates what a figure shows."""
        assert figure.simulation is not None
        return self.plan.create(
            SIMULATE,
            name,
            params={**figure.simulation.model_dump(), "threads": self.params.compute.threads},
            on_demand=figure.on_demand,
        )

    def _figure_rows(self, key: str, figure: Figure) -> list[Row]:
        rows = self.graph.experiments.rows[key]
        if figure.rows is not None:
            by_label = {row.label: row for row in rows}
            return [by_label[label] for label in figure.rows]
        pictures = figure.kind in ("predictions", "detections")
        return [rows[0], rows[-1]] if pictures and len(rows) > 2 else rows
