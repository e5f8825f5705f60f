"""Step `train`: one network on one data set with one recipe and seed, to weights, logs and a sidecar.

    python -m pipeline_src.steps.train JOB.json [--workers N] [--device cpu] [--checkpoint-minutes M]

Started again after a kill or a signal it continues, and on a CPU ends with the same bits. Under
`torchrun --nproc-per-node K -m pipeline_src.steps.train JOB.json` it trains data parallel.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline_src.components import load
from pipeline_src.errors import run_command
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of
from pipeline_src.training.job import Options, train_job
from pipeline_src.training.stopping import SaveInterval


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job of the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", help="job file (JSON)")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that load images (default: 4 with CUDA, else none of their own)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="where checkpoints live (default: work)"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--checkpoint-minutes", type=float, default=10.0, help="time between two checkpoints")
    often.add_argument(
        "--checkpoint-steps", type=int, help="steps between two checkpoints, instead of a time"
    )
    options = parser.parse_args(arguments)
    if options.checkpoint_steps is not None and options.checkpoint_steps < 1:
        parser.error("--checkpoint-steps: at least 1")

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    interval = SaveInterval(options.checkpoint_minutes, options.checkpoint_steps)
    job = Job.load(options.job, "train")
    parts = load(f"training.{task_of(job.params['model'])}")
    train_job(job, parts, Options(options.workers, options.device, options.work, interval))


if __name__ == "__main__":
    run_command(main)
