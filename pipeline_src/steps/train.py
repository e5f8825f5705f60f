"""Step `train`: one network on one data set with one recipe and seed, to weights, logs and a sidecar.

Started again after a kill or a signal it continues, and on a CPU ends with the same bits. Under
`torchrun` it trains data parallel.
"""

from pathlib import Path

from pipeline_src.components import load
from pipeline_src.provenance.job import Job
from pipeline_src.tasks.task import task_of
from pipeline_src.training.checkpoint_paths import WORK
from pipeline_src.training.stopping import SaveInterval
from pipeline_src.training.training_job import Options, train_job


def train(
    job: Job,
    device: str = "auto",
    workers: int | None = None,
    work: Path = WORK,
    interval: SaveInterval | None = None,
) -> None:
    """Train, or continue, as the job's task does, and write the outputs of `job`.

    `device` is `auto`, `cpu` or `cuda`, `workers` the number of processes that load images (None: as many
    as usually keep the device busy), `work` where checkpoints live and `interval` when one is due.

    Raises `InputError` for input that cannot be trained with, and `Interrupted` after a signal, with the
    state saved.
    """
    parts = load(f"training.{task_of(job.params['model'])}")
    train_job(job, parts, Options(workers, device, work, interval or SaveInterval()))
