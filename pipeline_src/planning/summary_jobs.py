"""The jobs that summarise: tidy tables, tables beside the papers' numbers, figures, the report."""

from pipeline_src.config.experiments import Row
from pipeline_src.config.study import Params, Study, Table
from pipeline_src.options import to_json
from pipeline_src.planning.compared_ideas import compared_ideas
from pipeline_src.planning.figure_jobs import FigureJobs
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.steps import COST, EVALUATE, JOIN, REPORT, TABLE, TABULATE, TRAIN
from pipeline_src.planning.summary_inputs import SummaryJobs
from pipeline_src.reporting.metric import RUN_FILES
from pipeline_src.reporting.metric_table import headlines
from pipeline_src.reporting.reference import printed_in
from pipeline_src.reporting.report_params import Join, ListedRun, MakeTable, Report, StudyPart, Tabulate


def plan_everything(params: Params) -> Plan:
    """Every job of a scale, the report last."""
    return Summaries(GraphBuilder(params)).build()


class Summaries(SummaryJobs):
    """Adds to a plan of experiments what is made of them."""

    def build(self) -> Plan:
        """Plan experiments and summaries."""
        self.graph.build()
        tidy = [self.tabulate(key) for key in self.graph.experiments.rows]
        joined = self.join(tidy)
        drawing = FigureJobs(self.graph)
        tables, figures = [], []
        for key in self.graph.experiments.rows:
            study = self.params.studies[key]
            tables += [self.table(key, study, table) for table in study.tables]
            drawn = [(figure, drawing.figure(key, study, figure)) for figure in study.figures]
            figures += [job for figure, job in drawn if not figure.on_demand]
        self.report(joined, tables, figures)
        return self.plan

    # --- one study ----------------------------------------------------------------------------

    def tabulate(self, key: str) -> PlannedJob:
        """The tidy tables of a study."""
        rows = self.graph.experiments.rows[key]
        architectures = list(dict.fromkeys(row.architecture for row in rows if row.architecture))
        study = self.params.studies[key]
        shown = [name for table in study.tables for name in table.metrics]
        for figure in study.figures:
            kind = self.params.component(f"figure.{figure.kind}")
            shown += kind.metrics(figure.given(), self.params.task_of(study))
        own = self.own(shown)
        read = {source.file for one in own for source in self.params.component(one).sources}
        return self.plan.create(
            TABULATE,
            key,
            params=to_json(
                Tabulate(
                    study=key,
                    tables=[self.params.table_name(key, table) for table in self.params.studies[key].tables],
                    rows=self.rows_of(rows),
                    architectures=architectures,
                    own_metrics=[name.partition(".")[2] for name in own],
                )
            ),
            components=self.params.spelled(own),
            inputs={
                **{file: self.of_runs(file, rows) for file in RUN_FILES if file == "metrics" or file in read},
                "cost": [self.plan.path(COST, "cost", name) for name in architectures],
                "timing": [self.plan.path(COST, "timing", name) for name in architectures],
            },
        )

    def join(self, tidy: list[PlannedJob]) -> PlannedJob:
        """The tidy tables of all studies in one."""
        return self.plan.create(
            JOIN,
            JOIN.only,
            params=to_json(
                Join(
                    {
                        key: headlines(self.params.task_of(self.params.studies[key]))[0].name
                        for key in self.graph.experiments.rows
                    }
                )
            ),
            inputs={
                "experiments": [job.outputs["experiments"] for job in tidy],
                "timed": [job.outputs["timed"] for job in tidy],
            },
        )

    def table(self, key: str, study: Study, table: Table) -> PlannedJob:
        """One table of a study."""
        name = self.params.table_name(key, table)
        rows = self.graph.experiments.rows[key]
        return self.plan.create(
            TABLE,
            name,
            params=to_json(
                MakeTable(
                    study=key,
                    table=name,
                    number=table.number if study.paper else None,
                    title=table.title,
                    row_header=table.row_header,
                    metrics=table.metrics,
                    rows=self.rows_of(rows),
                    scale=self.scale(),
                    data=self.data(key),
                    costs=self.cost_settings(rows),
                    paper=self.printed(study, table),
                    quoted=printed_in(self.quoted_values, self.paper_table(study, table)),
                    assumptions=self.assumptions_under(key, self.table_assumed(key, table)),
                    weights=self.weights(rows),
                    rules=self.params.verdicts.given(),
                    fixed_at_random=self.fixed_at_random(rows),
                    note=table.note,
                    controls=dict(study.controls),
                )
            ),
            inputs=self.tidy_inputs(key),
            components=self.params.spelled(self.own(table.metrics)),
        )

    # --- all studies --------------------------------------------------------------------------

    def report(self, joined: PlannedJob, tables: list[PlannedJob], figures: list[PlannedJob]) -> PlannedJob:
        """The page that shows everything."""
        experiments = self.graph.experiments
        scorings = list(experiments.scorings.values())
        # what two rows share is listed under the first, after whose study it is named
        row_of: dict[str, Row] = {}
        for row in (row for rows in experiments.rows.values() for row in rows):
            for scoring in row.scorings:
                row_of.setdefault(scoring, row)
        studies = [
            StudyPart(
                study=key,
                title=self.params.studies[key].title,
                tables=[job.name for job in tables if job.params["study"] == key],
                figures=[job.name for job in figures if job.params["study"] == key],
            )
            for key in experiments.rows
        ]
        return self.plan.create(
            REPORT,
            REPORT.only,
            params=to_json(
                Report(
                    title="Fusebench",
                    scale=self.scale(),
                    studies=studies,
                    runs=[
                        ListedRun(one.name, row_of[one.name].label, experiments.runs[one.run].seed)
                        for one in scorings
                    ],
                    architectures=list(experiments.architectures),
                    assumptions=self.assumptions_of_papers(experiments.rows),
                    rules=self.params.verdicts.given(),
                    ideas=compared_ideas(self.params, experiments.runs.values()),
                )
            ),
            inputs={
                "tables": [job.sidecar for job in tables],
                "figures": [job.sidecar for job in figures],
                "experiments": joined.outputs["experiments"],
                "train": [self.plan.path(TRAIN, "sidecar", one.run) for one in scorings],
                "evaluate": [self.plan.path(EVALUATE, "sidecar", one.name) for one in scorings],
                "cost": [self.plan.path(COST, "sidecar", name) for name in experiments.architectures],
                "manifests": [job.sidecar for job in self.plan.of("manifest")],
            },
        )
