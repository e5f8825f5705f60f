"""Step `evaluate`: accuracy of a trained run at the images' own sizes, and some predictions as pictures.

    params   {"data": {"num_classes", "ignore_index"}, "model", "threads", "deterministic",
              "evaluation" as `evaluation.inference_options.SplitEvaluation`}

What metrics.json says stands in the task's `evaluation.py`.
"""

from pipeline_src.components import load
from pipeline_src.evaluation.device import choose_device
from pipeline_src.evaluation.evaluate import evaluate_run
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of


def evaluate(job: Job, device: str = "auto", workers: int | None = None) -> None:
    """Write metrics.json, the overlays and the sidecar of `job`, as its task does.

    `device` is `auto`, `cpu` or `cuda`, `workers` the number of processes that load images.

    Raises `InputError` for weights that are not the run's and for a split or setting that cannot be used.
    """
    task = load(f"evaluation.{task_of(job.params['model'])}")
    evaluate_run(job, task, choose_device(device), workers or 0)
