"""`export-submission RUN`: a trained run's predictions of a hidden test set, as its server takes them.

Fetches and extracts the test images where they are not there yet, then predicts. The archive and
its sidecar stand in `results/<scale>/submissions/`.
"""

import argparse
import subprocess
import sys

from pipeline_src.components import COMPONENTS
from pipeline_src.config.component_declarations import component
from pipeline_src.config.resolve import model_components
from pipeline_src.config.sources import ScenesSource
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.options import to_json
from pipeline_src.planning.freshness import assess
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.steps import EXPORT_SUBMISSION
from pipeline_src.planning.trained_run import not_trained, scoring_of, snakemake_arguments
from pipeline_src.tasks.task import task_of


def run_export_submission(params: Params, options: argparse.Namespace) -> int:
    """Write the archive for one run; the status is that of the first step that fails.

    Raises `InputError` for an unknown run, one that is not trained yet, a data set without a server, or a
    list that the server does not test on.
    """
    graph = GraphBuilder(params)
    jobs = plan_submission(graph, options.run_name, options.list, options.root)
    export = jobs[-1]
    training = graph.plan.makers[str(export.inputs["train"])]
    statuses = assess(graph.plan)
    if not statuses[training.key].fresh:
        raise not_trained(training, snakemake_arguments(params.scale, options.configfile, options.config))
    for job in jobs:
        if not statuses[job.key].fresh and (status := _run(job, graph.plan, params)):
            return status
    print(f"{export.outputs['archive']} can be uploaded to the server")
    return 0


def plan_submission(
    graph: GraphBuilder, run_name: str, chosen: str | None = None, root: str | None = None
) -> list[PlannedJob]:
    """Add the jobs of a submission to the plan: those that bring the test images here, and the export, last.

    `run_name` is a run as `list` names it, `chosen` a list of images (default: the server's usual one), and
    `root` a folder that holds the images already. The training is planned, but not among the jobs.

    Raises `InputError` for an unknown run, a data set without a server, a list that the server does not
    test on, or classes that it does not know.
    """
    params = graph.params
    scoring = scoring_of(graph, run_name)
    run = graph.experiments.runs[scoring.run]
    dataset = params.datasets[run.dataset]
    server = dataset.reader.server
    if server is None:
        raise InputError(
            f"run {run.name}: no submission is built for data sets of format {dataset.format}; there is one "
            f"for {_with_server()}"
        )
    if root is None and isinstance(dataset.source, ScenesSource):
        raise InputError(
            f"run {run.name}: it was trained on generated scenes, which no server tests; --root FOLDER "
            "predicts images of yours"
        )
    chosen = chosen or server.default
    if server.lists is not None and chosen not in server.lists:
        raise InputError(
            f"--list {chosen}: the server tests on {' and '.join(server.lists)}; use one of them"
        )
    try:
        labels = dataset.reader.submission_params(dataset.classes_by_id)
    except InputError as error:
        raise InputError(f"datasets.{run.dataset}.{error}") from None
    training = graph.training(run)
    jobs: list[PlannedJob] = []
    inputs: dict[str, str | list[str]] = {"train": training.sidecar}
    spec = {
        "model": scoring.model,
        "evaluation": {key: value for key, value in to_json(scoring.evaluation).items() if key != "overlays"},
        "list": chosen,
        "server": server.name,
        "threads": params.compute.threads,
        "deterministic": params.compute.deterministic,
        **labels,
    }
    if root is not None:
        spec["root"] = root
    else:
        extractions = [graph.data.extraction(archive) for archive in server.archives]
        for extraction in extractions:
            jobs += [*graph.plan.needed_by(extraction), extraction]
        inputs["images"] = [extraction.sidecar for extraction in extractions]
    names = {
        "name": scoring.name.replace("/", "_"),
        "list": chosen if server.lists is None else server.lists[chosen],
    }
    files = {"sidecar": server.sidecar.format(**names), "archive": server.archive.format(**names)}
    export = graph.plan.create(
        EXPORT_SUBMISSION,
        scoring.name,
        params=spec,
        inputs=inputs,
        components=params.spelled((*model_components(run.model), f"submission.{task_of(run.model)}")),
        file_names=files,
    )
    return [*jobs, export]


def _with_server() -> str:
    """The formats that have an evaluation server, in words."""
    kinds = [kind for kind in COMPONENTS if kind.startswith("reader.")]
    *most, last = [kind.split(".", 1)[1] for kind in kinds if component(kind).server is not None]
    return f"{', '.join(most)} and {last}"


def _run(job: PlannedJob, plan: Plan, params: Params) -> int:
    command = [sys.executable, "-m", "pipeline_src", "run", str(plan.as_job(job).write())]
    if job.step == "fetch" and params.mirror is not None:
        command += ["--mirror", params.mirror]
    return subprocess.run(command).returncode
