"""A submission to an evaluation server, whatever the task: configure, load, predict, write, record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from pipeline_src.evaluation.inference_options import Evaluation
from pipeline_src.evaluation.load_trained import load_trained
from pipeline_src.files import digest_file
from pipeline_src.options import from_json
from pipeline_src.provenance.environment import TRAINING_PACKAGES
from pipeline_src.provenance.job import Job
from pipeline_src.training.determinism import configure, describe_device


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What the planner tells step `export_submission`.

    `list`: VOC's list in ImageSets/Segmentation, Cityscapes' set, or COCO's
    annotations/image_info_<list>.json.
    `categories`: for boxes, COCO's ids of labels 1, 2, ... `root`: a folder that holds the data set, in
    place of the records of its archives.
    """

    model: dict[str, Any]
    threads: int
    deterministic: bool = True
    server: str = "voc2012"
    list: str = "test"
    evaluation: dict[str, Any] = field(default_factory=dict)
    categories: tuple[int, ...] = ()
    root: str | None = None

    @property
    def way(self) -> Evaluation:
        """How the network is tested."""
        return from_json(Evaluation, self.evaluation)


class TaskSubmission(Protocol):
    """What a task adds: a class that is made with a job, what it says, and the folders with the data."""

    build: Callable[[dict[str, Any], Any], torch.nn.Module]

    def __init__(self, job: Job, said: Submission, roots: Sequence[Path]) -> None:
        """Find the images; raises `InputError` for some that are not there."""
        ...

    def write(self, model: torch.nn.Module, archive: str, device: torch.device) -> dict[str, int]:
        """Predict every image and write the archive; the numbers of what is in it, by name."""
        ...


def submit(job: Job, task: type[TaskSubmission], roots: Sequence[Path], device: torch.device) -> None:
    """Write the archive and the sidecar of `job`.

    Raises `InputError` for weights that are not the run's, and as the task does.
    """
    said = job.params_as(Submission)
    settings = configure(threads=said.threads, deterministic=said.deterministic, device=device)
    submission = task(job, said, roots)
    model = load_trained(said.model, job.input("train"), device, task.build)
    counts: dict[str, Any] = submission.write(model, job.outputs["archive"], device)
    job.write_sidecar(
        digest_file(job.outputs["archive"]),
        TRAINING_PACKAGES,
        **counts,
        settings=settings,
        device=describe_device(device),
    )
