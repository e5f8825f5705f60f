"""Which jobs a killed run of this checkout still has in SLURM's queue, by what `squeue` says."""

import getpass
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.errors import InputError

OWN_JOBS = (f"--user={getpass.getuser()}", "--noheader", "--format=%i|%T|%j|%Z")
"""What `squeue` is asked."""

RUN_NAME = re.compile(r"^([A-Za-z0-9_-]{1,50}_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""What the executor calls the jobs of a run: a UUID, after a prefix if the user gives one."""


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue: its id, its state, its name, and the folder that it was submitted from."""

    id: str
    state: str
    name: str
    folder: Path


def left_jobs(said: str, folder: Path) -> list[QueuedJob]:
    """The jobs that a run of this folder has in the queue, of what `squeue` says of one's own."""
    jobs = []
    for line in said.splitlines():
        number, state, name, workdir = line.strip().split("|", 3)
        jobs.append(QueuedJob(number, state, name, Path(workdir)))
    return [job for job in jobs if RUN_NAME.match(job.name) and job.folder.resolve() == folder.resolve()]


def refuse_left_jobs(jobs: list[QueuedJob]) -> None:
    """Refuse to start beside jobs of an earlier run, which would be submitted a second time."""
    if jobs:
        ids = " ".join(job.id for job in jobs)
        running = sum(job.state != "PENDING" for job in jobs)
        raise InputError(
            f"an earlier run was killed and left {len(jobs)} jobs in the queue ({running} of them running): "
            f"wait until they are done, or end them, which a training survives, with: scancel {ids}"
        )
