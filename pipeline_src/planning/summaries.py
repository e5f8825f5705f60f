"""The jobs that summarise: tidy tables, tables beside the papers' numbers, figures, the report."""

from pipeline_src.config.study import Params, Study, Table
from pipeline_src.planning.figure_jobs import FigureJobs
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.planning.steps import COST, EVALUATE, JOIN, REPORT, TABLE, TABULATE, TRAIN
from pipeline_src.planning.summary_jobs import SummaryJobs


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
        architectures = list(dict.fromkeys(row.architecture for row in rows))
        return self.plan.create(
            TABULATE,
            key,
            params={
                "study": key,
                "tables": [self.params.table_name(key, table) for table in self.params.studies[key].tables],
                "rows": self.rows_of(rows),
                "architectures": architectures,
            },
            inputs={
                "metrics": [
                    self.plan.path(EVALUATE, "metrics", scoring) for row in rows for scoring in row.scorings
                ],
                "cost": [self.plan.path(COST, "cost", name) for name in architectures],
                "timing": [self.plan.path(COST, "timing", name) for name in architectures],
            },
        )

    def join(self, tidy: list[PlannedJob]) -> PlannedJob:
        """The tidy tables of all studies in one."""
        return self.plan.create(
            JOIN,
            JOIN.only,
            params={"studies": [job.name for job in tidy]},
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
            params={
                "study": key,
                "table": name,
                "number": table.number if study.paper else None,
                "title": table.title,
                "row_header": table.row_header,
                "metrics": table.metrics,
                "note": table.note,
                "rows": self.rows_of(rows),
                "cost": self.cost_settings(rows),
                "weights": self.weights(rows),
                "fixed_at_random": self.fixed_at_random(rows),
                "assumptions": self.assumptions_under(key, self.paper_table(study, table)),
                "verdicts": self.params.verdicts.model_dump(),
                **self.comparison(key, study, table),
            },
            inputs=self.tidy_inputs(key),
        )

    # --- all studies --------------------------------------------------------------------------

    def report(self, joined: PlannedJob, tables: list[PlannedJob], figures: list[PlannedJob]) -> PlannedJob:
        """The page that shows everything."""
        experiments = self.graph.experiments
        scorings = list(experiments.scorings.values())
        row_of = {
            scoring: row
            for rows in experiments.rows.values()
            for row in reversed(rows)
            for scoring in row.scorings
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
        return self.plan.create(
            REPORT,
            REPORT.only,
            params={
                "title": "Fusebench",
                "scale": self.scale(),
                "studies": studies,
                "runs": [
                    {"run": one.name, "row": row_of[one.name].label, "seed": experiments.runs[one.run].seed}
                    for one in scorings
                ],
                "architectures": list(experiments.architectures),
                "assumptions": self.assumptions_of_papers(experiments.rows),
                "verdicts": self.params.verdicts.model_dump(),
            },
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
