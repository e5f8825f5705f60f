"""`export-submission RUN`: a trained run's predictions of a hidden test set, as its server takes them.

Fetches and extracts the test images where they are not there yet, then predicts. The archive and
its sidecar stand in `results/<scale>/submissions/`.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_src.config.data import CityscapesDataset, Dataset, VocDataset
from pipeline_src.config.detection_data import CocoDataset
from pipeline_src.config.resolve import dataset_classes, model_components
from pipeline_src.config.sources import ScenesSource
from pipeline_src.config.study import Params
from pipeline_src.data.coco_categories import COCO_CATEGORIES
from pipeline_src.errors import InputError
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.jobs import Plan, PlannedJob
from pipeline_src.planning.status import assess
from pipeline_src.planning.steps import EXPORT_SUBMISSION
from pipeline_src.tasks.task import task_of


@dataclass(frozen=True)
class Server:
    """What an evaluation server tests on, and what it wants its submission to be called.

    `archives` hold the test images; `default` is the list of them that is predicted unless another one is
    asked for. `lists` are those that the server tests on, with the server's own names; None: those of the
    folder. `archive` and `sidecar` are the files' names, from the run's `{name}` and the `{list}`.
    """

    name: str
    archives: tuple[str, ...]
    archive: str
    sidecar: str = "{name}.json"
    default: str = "test"
    lists: Mapping[str, str] | None = None


SERVERS: dict[type, Server] = {
    VocDataset: Server("voc2012", ("voc2012_test",), "{name}.tar.gz"),
    CityscapesDataset: Server("cityscapes", ("cityscapes_images",), "{name}.zip"),
    CocoDataset: Server(
        "coco",
        ("coco2017_test", "coco2017_test_info"),
        archive="detections_{list}_{name}_results.zip",
        sidecar="{name}_{list}.json",
        default="test-dev2017",
        # test-challenge2017 is a part of test2017 that only the server knows: it takes all of test2017
        lists={"test-dev2017": "test-dev2017", "test2017": "test-challenge2017"},
    ),
}
"""By data set."""


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
        raise InputError(
            f"run {training.name} is not trained at scale {params.scale}, or something changed since; "
            f"first: snakemake --cores all {training.sidecar}"
        )
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
    params, scorings = graph.params, graph.experiments.scorings
    if run_name not in scorings:
        raise InputError(f"no run {run_name!r} at scale {params.scale}; `list` names them")
    scoring = scorings[run_name]
    run = graph.experiments.runs[scoring.run]
    dataset = params.datasets[run.dataset]
    server = SERVERS.get(type(dataset))
    if server is None:
        raise InputError(
            f"run {run.name}: no submission is built for data sets of format {dataset.format}; there is one "
            "for voc2012, cityscapes and coco"
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
    training = graph.training(run)
    jobs: list[PlannedJob] = []
    inputs: dict[str, str | list[str]] = {"train": training.sidecar}
    spec = {
        "model": run.model,
        "evaluation": {key: value for key, value in scoring.evaluation.items() if key != "overlays"},
        "list": chosen,
        "server": None if server.name == "voc2012" else server.name,
        "threads": params.compute.threads,
        "deterministic": params.compute.deterministic,
        **_labels(run.dataset, dataset),
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


def _labels(key: str, dataset: Dataset) -> dict[str, Any]:
    """For COCO, its own ids of the labels 1, 2, ...; masks say them by their pixels' values."""
    if not isinstance(dataset, CocoDataset):
        return {}
    ids = {category.name: category.id for category in COCO_CATEGORIES}
    names = dataset_classes(dataset)[1:]
    if unknown := [name for name in names if name not in ids]:
        raise InputError(
            f"datasets.{key}.classes: {unknown[0]!r} is none of COCO's 80 categories, and its server knows "
            "no others; train with classes: null or with some of COCO's"
        )
    return {"categories": [ids[name] for name in names]}


def _run(job: PlannedJob, plan: Plan, params: Params) -> int:
    command = [sys.executable, "-m", "pipeline_src", "run", str(plan.as_job(job).write())]
    if job.step == "fetch" and params.mirror is not None:
        command += ["--mirror", params.mirror]
    return subprocess.run(command).returncode
