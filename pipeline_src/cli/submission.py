"""`export-submission RUN`: a trained run's predictions of a hidden test set, as its server takes them.

Fetches and extracts the test images where they are not there yet, then predicts. The archive and
its sidecar stand in `results/<scale>/submissions/`.
"""

import argparse
import subprocess
import sys

from pipeline_src.config.data import CityscapesDataset, VocDataset
from pipeline_src.config.resolve import model_components
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.planning.status import assess
from pipeline_src.tasks.task import task_of

SERVERS = {
    VocDataset: ("voc2012", "voc2012_test", "tar.gz"),
    CityscapesDataset: ("cityscapes", "cityscapes_images", "zip"),
}
"""By data set: whose format, the archive with the test images, and the submission's ending."""


def run_export_submission(params: Params, options: argparse.Namespace) -> int:
    """Write the archive for one run; the status is that of the first step that fails.

    Raises `InputError` for an unknown run, one that is not trained yet, or a data set without a server.
    """
    graph = GraphBuilder(params)
    scorings = graph.experiments.scorings
    if options.run_name not in scorings:
        raise InputError(f"no run {options.run_name!r} at scale {params.scale}; `list` names them")
    scoring = scorings[options.run_name]
    run = graph.experiments.runs[scoring.run]
    dataset = params.datasets[run.dataset]
    if type(dataset) not in SERVERS:
        raise InputError(
            f"run {run.name}: no submission is built for data sets of format {dataset.format}; there is one "
            "for voc2012 and cityscapes"
        )
    server, archive, ending = SERVERS[type(dataset)]
    training = graph.training(run)
    jobs: list[PlannedJob] = []
    inputs: dict[str, str | list[str]] = {"train": training.sidecar}
    spec = {
        "model": run.model,
        "evaluation": {key: value for key, value in scoring.evaluation.items() if key != "overlays"},
        "list": options.list,
        "server": None if server == "voc2012" else server,
        "threads": params.compute.threads,
        "deterministic": params.compute.deterministic,
    }
    if options.root is not None:
        spec["root"] = options.root
    else:
        extraction = graph.data.extraction(archive)
        jobs += [*graph.plan.needed_by(extraction), extraction]
        inputs["images"] = [extraction.sidecar]
    name = scoring.name.replace("/", "_")
    export = PlannedJob(
        step="export_submission",
        name=run.name,
        scale=params.scale,
        params=spec,
        inputs=inputs,
        outputs={
            "sidecar": graph.paths.results("submissions", f"{name}.json"),
            "archive": graph.paths.results("submissions", f"{name}.{ending}"),
        },
        components=(*model_components(run.model), f"submission.{task_of(run.model)}"),
    )
    graph.plan.add(export)
    statuses = assess(graph.plan)
    if not statuses[training.key].fresh:
        raise InputError(
            f"run {run.name} is not trained at scale {params.scale}, or something changed since; "
            f"first: snakemake --cores all {training.sidecar}"
        )
    for job in [*jobs, export]:
        if not statuses[job.key].fresh and (status := _run(job, graph.plan, params)):
            return status
    print(f"{export.outputs['archive']} can be uploaded to the server")
    return 0


def _run(job: PlannedJob, plan: Plan, params: Params) -> int:
    job.write(None, plan.origins(job))
    command = [sys.executable, "-m", f"pipeline_src.steps.{job.step}", str(job.file)]
    if job.step == "fetch" and params.mirror is not None:
        command += ["--mirror", params.mirror]
    return subprocess.run(command).returncode
