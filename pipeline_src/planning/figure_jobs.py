"""The jobs that draw figures, with what each kind of figure says that it reads."""

from dataclasses import replace

from pipeline_src.calibration.simulation_options import SimulateUpsampling
from pipeline_src.config.experiments import Row
from pipeline_src.config.figures import FigureSection
from pipeline_src.config.study import Study
from pipeline_src.errors import InputError
from pipeline_src.options import to_json
from pipeline_src.planning.planned_job import PlannedJob
from pipeline_src.planning.steps import FIGURE, SIMULATE
from pipeline_src.planning.summary_inputs import SummaryJobs
from pipeline_src.reporting.figures.figure_kind import READABLE
from pipeline_src.reporting.metric import RUN_FILES
from pipeline_src.reporting.report_params import DrawFigure
from pipeline_src.reporting.row_status import NOT_AT_THIS_SCALE


class FigureJobs(SummaryJobs):
    """Adds figures to a plan, and the probes and simulations that they alone ask for."""

    def figure(self, key: str, study: Study, figure: FigureSection) -> PlannedJob:
        """One figure of a study, with the inputs that its kind asks for."""
        kind = self.params.component(f"figure.{figure.kind}")
        if unknown := [name for name in kind.reads if name not in READABLE]:
            raise InputError(
                f"figure.{figure.kind} reads {unknown[0]!r}, which is not there; use {', '.join(READABLE)}"
            )
        name = f"{study.prefix or key}_{figure.subject}"
        rows = self._rows(key, figure, kind.pictures)
        params = DrawFigure(
            study=key,
            figure=name,
            kind=figure.kind,
            title=figure.title,
            task=self.params.task_of(study),
            scale=self.scale(),
            compared=bool(study.paper),
            row_header=study.tables[0].row_header if study.tables else "row",
            rows=[],
            options=to_json(figure.given()),
            rules=self.params.verdicts.given(),
        )
        inputs: dict[str, str | list[str]] = {}
        if "probe" in kind.reads:
            rows, inputs["probe"] = self._probes(key, figure, rows)
        if "simulation" in kind.reads:
            inputs["simulation"] = self._simulation(figure, name).outputs["simulation"]
        for table in ("experiments", "timed"):
            if table in kind.reads:
                inputs[table] = self.tidy_inputs(key)[table]
                paper = self.printed(study, study.tables[0] if study.tables else None)
                params = replace(params, paper=paper, split=self.data(key).split)
        inputs |= {file: self.of_runs(file, rows) for file in RUN_FILES if file in kind.reads}
        if "evaluate" in kind.reads:
            scorings = [self.graph.experiments.scorings[one] for row in rows for one in row.scorings]
            kept = min((one.evaluation.overlays for one in scorings), default=0)
            if kind.pictures and scorings and not kept:
                place = study.figures.index(figure)
                explanation = (
                    "shows predictions, and the rows' evaluation keeps none; set its overlays above 0"
                )
                raise self.params.wrong(["studies", key, "figures", place, "kind"], explanation)
            params = replace(params, images=kept)
        if tuple(kind.reads) != ("simulation",):
            params = replace(params, rows=self.rows_of(rows))
        shown = self.own(kind.metrics(figure.given(), self.params.task_of(study)))
        return self.plan.create(
            FIGURE,
            name,
            params=to_json(params),
            inputs=inputs,
            components=self.params.spelled((f"figure.{figure.kind}", *shown)),
            on_demand=figure.on_demand,
        )

    def _probes(self, key: str, figure: FigureSection, rows: list[Row]) -> tuple[list[Row], list[str]]:
        """The rows with equalizers to calibrate, and the probes of the first run of each."""
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
        return [row for row, _ in found], [path for _, path in found]

    def _simulation(self, figure: FigureSection, name: str) -> PlannedJob:
        """The job that simulates what a figure shows."""
        return self.plan.create(
            SIMULATE,
            name,
            params=to_json(
                SimulateUpsampling(simulation=figure.given().simulation, threads=self.params.compute.threads)
            ),
            on_demand=figure.on_demand,
        )

    def _rows(self, key: str, figure: FigureSection, pictures: bool) -> list[Row]:
        """The rows that a figure shows, without those that this scale leaves out."""
        rows = [row for row in self.graph.experiments.rows[key] if row.status != NOT_AT_THIS_SCALE]
        if figure.rows is not None:
            by_label = {row.label: row for row in rows}
            return [by_label[label] for label in figure.rows if label in by_label]
        return [rows[0], rows[-1]] if pictures and len(rows) > 2 else rows
