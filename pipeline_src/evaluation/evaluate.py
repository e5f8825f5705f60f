"""The evaluation of a trained run, of any task: from a job to metrics.json, pictures and a sidecar."""

from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from pipeline_src.evaluation.evaluate_params import EvaluateRun
from pipeline_src.evaluation.load_trained import load_trained
from pipeline_src.files import atomic_folder, digest_of, write_json
from pipeline_src.progress import score_text
from pipeline_src.provenance.job import Job
from pipeline_src.training.determinism import configure, describe_device, peak_memory


class TaskEvaluation(Protocol):
    """What a task's evaluation adds: made of a job, before anything is computed.

    Making it raises `InputError` for a manifest, split or setting that cannot be used.
    """

    packages: ClassVar[tuple[str, ...]]
    """Packages whose versions can change the result."""

    headline: ClassVar[tuple[str, ...]]
    """The metrics that the sidecar repeats."""

    def __init__(self, job: Job) -> None: ...

    def build(self, model: dict[str, Any], weights: str | None) -> torch.nn.Module:
        """The network of a resolved model section."""
        ...

    def measure(
        self, model: torch.nn.Module, folder: Path, device: torch.device, workers: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What metrics.json says, without `content`, and the index of the pictures written to `folder`.

        Raises `InputError` for a split without anything to find and a model that has diverged.
        """
        ...


def evaluate_run(job: Job, task: type[TaskEvaluation], device: torch.device, workers: int = 0) -> None:
    """Write metrics.json, the overlays and the sidecar of `job`.

    Raises `InputError` for weights that are not the run's, and as the task does.
    """
    run = job.params_as(EvaluateRun)
    settings = configure(threads=run.threads, deterministic=run.deterministic, device=device)
    evaluation = task(job)
    model = load_trained(run.model, job.input("train"), device, evaluation.build)
    folder = Path(job.outputs["overlays"])
    with atomic_folder(folder) as new:
        said, index = evaluation.measure(model, new, device, workers)
        metrics = {"content": digest_of(said), **said}
        write_json(job.outputs["metrics"], metrics)
    job.write_sidecar(
        digest_of([metrics["content"], index["content"]]),
        task.packages,
        score_text(metrics, task.headline[:1]),
        scores={name: metrics[name] for name in task.headline},
        overlays={"folder": str(folder), "images": len(index["images"])},
        settings=settings,
        device=describe_device(device),
        peak_memory_bytes=peak_memory(device),
    )
