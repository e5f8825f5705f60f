"""Step `evaluate`: accuracy of a trained run at the images' own sizes, and some predictions as pictures.

    python -m pipeline_src.steps.evaluate JOB.json [--workers N] [--device auto|cpu|cuda]

    params   {"data": {"num_classes", "ignore_index"}, "model", "threads", "deterministic",
              "evaluation": {"mode": "whole", "split": "val", "overlays": 4}}  # or `slide`, with window
                                            # and stride; resize: see pipeline_src.evaluation.inference
    inputs   {"manifest": manifest.json, "train": train.json}
    outputs  {"sidecar", "metrics": metrics.json, "overlays": a folder}

What metrics.json says stands in the task's `evaluation.py`.
"""

import argparse
import logging
from collections.abc import Sequence

import torch

from pipeline_src.components import load
from pipeline_src.errors import run_command
from pipeline_src.evaluation.device import choose_device
from pipeline_src.evaluation.evaluate import evaluate_run
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of


def evaluate(job: Job, device: torch.device, workers: int = 0) -> None:
    """Write metrics.json, the overlays and the sidecar of `job`, as its task does.

    Raises `InputError` for weights that are not the run's and for a split or setting that cannot be used.
    """
    evaluate_run(job, load(f"evaluation.{task_of(job.params['model'])}"), device, workers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job file named on the command line."""
    parser = argparse.ArgumentParser(description="Evaluate one trained run.")
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument("--workers", type=int, default=0, help="processes that load images (default: 0)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    evaluate(Job.load(options.job, "evaluate"), choose_device(options.device), options.workers)


if __name__ == "__main__":
    run_command(main)
