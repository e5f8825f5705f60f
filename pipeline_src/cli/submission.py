"""`export-submission RUN`: a trained run's predictions of a hidden test set, as its server takes them.

Fetches and extracts the test images where they are not there yet, then predicts. The archive and
its sidecar stand in `results/<scale>/submissions/`.
"""

import argparse
import subprocess
import sys

from pipeline_src.config.data import VocDataset
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.planning.status import assess

TEST_ARCHIVE = "voc2012_test"


def run_export_submission(params: Params, options: argparse.Namespace) -> int:
    """Write the archive for one run; the status is that of the first step that fails.

    Raises `InputError` for an unknown run, one that is not trained yet, or a data set without a server.
    """
    graph = GraphBuilder(params)
    runs = graph.experiments.runs
    if options.run_name not in runs:
        raise InputError(f"no run {options.run_name!r} at scale {params.scale}; `list` names them")
    run = runs[options.run_name]
    if not isinstance(params.datasets[run.dataset], VocDataset):
        raise InputError(f"run {run.name}: data set {run.dataset} has no evaluation server that we know of")
    training = graph.training(run)
    jobs: list[PlannedJob] = []
    inputs: dict[str, str | list[str]] = {"train": training.sidecar}
    spec = {
        "model": run.model,
        "evaluation": params.evaluation.model_dump(exclude={"overlays"}),
        "list": options.list,
        "threads": params.compute.threads,
        "deterministic": params.compute.deterministic,
    }
    if options.root is not None:
        spec["root"] = options.root
    else:
        extraction = graph.data.extraction(TEST_ARCHIVE)
        jobs += [*graph.plan.needed_by(extraction), extraction]
        inputs["images"] = extraction.sidecar
    name = run.name.replace("/", "_")
    export = PlannedJob(
        step="export_submission",
        name=run.name,
        scale=params.scale,
        params=spec,
        inputs=inputs,
        outputs={
            "sidecar": graph.paths.results("submissions", f"{name}.json"),
            "archive": graph.paths.results("submissions", f"{name}.tar.gz"),
        },
        components=training.components,
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
