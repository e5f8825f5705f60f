"""The experiments become jobs: calibrations, trainings, evaluations and costs.

What brings their data here stands in `planning/data_jobs.py`; what summarises them (tables, figures,
the report) in `planning/summary_jobs.py`.
"""

from typing import Any, TypeVar

from pipeline_src.calibration.probe_params import ProbeRecipe, ProbeRun
from pipeline_src.calibration.start_params import CalibrateRun, StartRecipe
from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Architecture, Experiments, Run, Scoring
from pipeline_src.config.resolve import model_components
from pipeline_src.config.study import Params
from pipeline_src.data.read_manifest import IGNORE_INDEX
from pipeline_src.evaluation.evaluate_params import EvaluateRun
from pipeline_src.evaluation.inference_options import SplitEvaluation
from pipeline_src.models.fusion.equalizer_options import FORMS
from pipeline_src.options import from_json, to_json
from pipeline_src.planning.data_jobs import DataJobs, without_missing_data
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.steps import CALIBRATE, COST, EVALUATE, PROBE, TRAIN
from pipeline_src.profiling.cost_params import MeasureCost
from pipeline_src.tasks.task import task_of
from pipeline_src.training.train_params import Labels, TrainRun

Recipe = TypeVar("Recipe", bound=StartRecipe)

PROBED_BATCHES = 4
"""Batches of training images on which the start of a training is looked at, for figures."""


class GraphBuilder:
    """Adds the jobs of all selected studies to a plan, each job once.

    Without `read_folders` users' folders are not read, and only the names of jobs and paths are right.
    """

    def __init__(self, params: Params, read_folders: bool = True) -> None:
        self.params = params
        self.experiments: Experiments = without_missing_data(params, expand(params))
        self.plan = Plan(params.scale, params.strict_environment)
        self.data = DataJobs(params, self.plan, read_folders)
        self._ranks = _ranks(self.experiments)

    def build(self) -> Plan:
        """Plan everything up to the metrics and costs of every row."""
        for scoring in self.experiments.scorings.values():
            self.evaluation(scoring)
        for architecture in self.experiments.architectures.values():
            self.cost(architecture)
        return self.plan

    def training(self, run: Run) -> PlannedJob:
        """The job that trains a run."""
        inputs = self._initial_inputs(run)
        components = [*model_components(run.model), f"training.{task_of(run.model)}"]
        calibration = self.calibration(run)
        if calibration is not None:
            inputs["statistics"] = calibration.outputs["statistics"]
            components.append("equalizer.statistics")
        return self.plan.create(
            TRAIN,
            run.name,
            params=to_json(
                TrainRun(
                    recipe=to_json(run.recipe),
                    strict_environment=self.params.strict_environment,
                    **self._initial(run),
                )
            ),
            not_identifying=("strict_environment",),
            inputs=inputs,
            components=self.params.spelled(components),
            rank=self._ranks.get(run.name, 0),
        )

    def calibration(self, run: Run) -> PlannedJob | None:
        """The job that measures what a run's scale equalizers need; None where they need nothing."""
        equalizer = run.model["equalizer"]
        if equalizer is None or not FORMS[equalizer["form"]].calibrated:
            return None
        return self.plan.create(
            CALIBRATE,
            run.name,
            params=to_json(CalibrateRun(recipe=_taken(StartRecipe, run), **self._initial(run))),
            inputs=self._initial_inputs(run),
            components=self.params.spelled(model_components(run.model)),
            rank=self._ranks.get(run.name, 0),
        )

    def probe(self, run: Run) -> PlannedJob | None:
        """The job that compares a run's network at its start without and with equalizers; None without."""
        calibration = self.calibration(run)
        if calibration is None:
            return None
        return self.plan.create(
            PROBE,
            run.name,
            params=to_json(
                ProbeRun(recipe=_taken(ProbeRecipe, run), batches=PROBED_BATCHES, **self._initial(run))
            ),
            inputs={**self._initial_inputs(run), "statistics": calibration.outputs["statistics"]},
            components=self.params.spelled(model_components(run.model)),
        )

    def _of_run(self, run: Run) -> dict[str, Any]:
        """The fields of `RunParameters`."""
        compute = self.params.compute
        data = Labels(num_classes=run.model["num_classes"], ignore_index=IGNORE_INDEX)
        return {
            "data": data,
            "model": run.model,
            "threads": compute.threads,
            "deterministic": compute.deterministic,
        }

    def _initial(self, run: Run) -> dict[str, Any]:
        """The fields of `InitialParameters`."""
        return {**self._of_run(run), "seed": run.seed, "init_from": run.init_from}

    def _initial_inputs(self, run: Run) -> dict[str, str | list[str]]:
        inputs = self.data.inputs(run.dataset)
        if (weights := self.data.weights(run.backbone)) is not None:
            inputs["weights"] = weights.sidecar
        if run.init_from is not None:
            inputs["init_from"] = self.training(self.experiments.runs[run.init_from]).sidecar
        return inputs

    def evaluation(self, scoring: Scoring) -> PlannedJob:
        """The job that evaluates a run in one way, with its training."""
        run = self.experiments.runs[scoring.run]
        training = self.training(run)
        return self.plan.create(
            EVALUATE,
            scoring.name,
            params=to_json(
                EvaluateRun(
                    evaluation=SplitEvaluation(**vars(scoring.evaluation), split="val"),
                    **{**self._of_run(run), "model": scoring.model},
                )
            ),
            inputs={**self.data.inputs(run.dataset), "train": training.sidecar},
            components=self.params.spelled(
                (*model_components(run.model), f"evaluation.{task_of(run.model)}")
            ),
            rank=self._ranks.get(run.name, 0),
        )

    def cost(self, architecture: Architecture) -> PlannedJob:
        """The job that measures an architecture."""
        cost = self.params.cost
        return self.plan.create(
            COST,
            architecture.name,
            params=to_json(
                MeasureCost(
                    model=architecture.model,
                    **architecture.setting,
                    threads=cost.threads,
                    repeats=cost.repeats,
                    warmup=cost.warmup,
                )
            ),
            components=self.params.spelled(
                (*model_components(architecture.model), f"costs.{task_of(architecture.model)}")
            ),
        )


def _taken(kind: type[Recipe], run: Run) -> Recipe:
    """What a job before a run's first step takes of the run's recipe."""
    return from_json(kind, to_json(run.recipe), part=True)


def _ranks(experiments: Experiments) -> dict[str, int]:
    """How many seeds of a row stand before each run; a run that others start from comes before them."""
    ranks: dict[str, int] = {}
    for rows in experiments.rows.values():
        for row in rows:
            for run, seed in zip(row.runs, row.seeds, strict=True):
                ranks[run] = min(seed, ranks.get(run, seed))
    for one in experiments.runs.values():
        before, rank = one.init_from, ranks.get(one.name, 0)
        while before is not None:
            ranks[before] = min(rank, ranks.get(before, rank))
            before = experiments.runs[before].init_from
    return ranks
