"""A finished training by its run's name: what has to be known of it to use its network. No torch."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_src.config.expand import expand
from pipeline_src.config.experiments import Scoring
from pipeline_src.config.resolve import model_components
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.planning.freshness import assess
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.planned_job import PlannedJob
from pipeline_src.tasks.task import task_of


@dataclass(frozen=True)
class TrainedRun:
    """A run that is trained, as its evaluation knows it.

    `model` is the network's resolved section, `classes` the names by id (of detectors the background first),
    `sidecar` the record of the training, which names the weights. `components` are the user's own and the
    package's, as jobs name them.
    """

    name: str
    scale: str
    model: dict[str, Any]
    evaluation: Evaluation
    classes: tuple[str, ...]
    sidecar: str
    components: tuple[str, ...]
    threads: int
    deterministic: bool

    @property
    def task(self) -> str:
        """What the network learned: the name of a folder in `tasks`."""
        return task_of(self.model)


def find_trained(params: Params, name: str, more: Sequence[str] = ()) -> TrainedRun:
    """The run `name`, as `list` names it, with the scale's own way of evaluation.

    `more` are the arguments that these parameters need of a command line, for the message. Raises
    `InputError` for an unknown run and for one that is not trained or no longer is what would be trained.
    """
    graph = GraphBuilder(params)
    scoring = scoring_of(graph, name)
    run = graph.experiments.runs[scoring.run]
    training = graph.training(run)
    if not assess(graph.plan)[training.key].fresh:
        raise not_trained(training, more)
    return TrainedRun(
        name=scoring.name,
        scale=params.scale,
        model=scoring.model,
        evaluation=scoring.evaluation,
        classes=tuple(params.datasets[run.dataset].classes_by_id),
        sidecar=training.sidecar,
        components=params.spelled(model_components(scoring.model)),
        threads=params.compute.threads,
        deterministic=params.compute.deterministic,
    )


def not_trained(training: PlannedJob, more: Sequence[str] = ()) -> InputError:
    """The error about a training that has to run first, with the command that does it."""
    line = ["snakemake", "--cores", "all", training.sidecar, *more]
    return InputError(
        f"run {training.name} is not trained at scale {training.scale}, or something changed since; "
        f"first: {shlex.join(line)}"
    )


def snakemake_arguments(scale: str, configfiles: Sequence[str], settings: Sequence[str]) -> list[str]:
    """A command's `--configfile`s, `--config` settings and scale, as Snakemake takes them."""
    files = ["--configfile", *configfiles] if configfiles else []
    return [*files, "--config", *settings, f"scale={scale}"]


def scoring_of(graph: GraphBuilder, name: str) -> Scoring:
    """The evaluation `name` of a run; raises `InputError` for one that is none of the plan's."""
    if name in graph.experiments.scorings:
        return graph.experiments.scorings[name]
    expanded = expand(graph.params)
    if name not in expanded.scorings:
        raise InputError(f"no run {name!r} at scale {graph.params.scale}; `list` names them")
    dataset = expanded.runs[expanded.scorings[name].run].dataset
    reasons = {
        row.reason for rows in graph.experiments.rows.values() for row in rows if row.dataset == dataset
    }
    raise InputError(
        f"run {name} is not trained, since its data are not here: {'; '.join(filter(None, reasons))}"
    )
