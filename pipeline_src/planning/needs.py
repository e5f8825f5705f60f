"""What the jobs of a step need of a machine, in Snakemake's words and those of its SLURM executor.

All of it comes from the table of steps, so that a cluster's profile says only what the cluster is. Most
of it is a function of the job: Snakemake asks when it puts jobs together, and only then is it known
whether they run here or on a cluster.
"""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.planning.planned_job import PlannedJob
from pipeline_src.planning.process import Process
from pipeline_src.planning.steps import CALIBRATE, OWN_THREADS, TRAIN, Step

HEADROOM = 1.5
"""How much more memory is asked for than a job took when it last ran."""

LEAST_MEMORY = 1500
"""Megabytes that a job is asked for that was measured: short jobs end between two measurements."""

SHARING = (TRAIN.name, CALIBRATE.name)
"""The steps whose ranks share a recipe's batch."""


@dataclass(frozen=True)
class Needs:
    """The needs of one step's jobs.

    `name_of(wildcards)` is a job's name, `params_of(name)` what is told to it, `benchmark_of(name)` the file
    of what it took when it last ran. `visible` is the number of this machine's GPUs, `gpu_limit()`
    that of all jobs together.
    """

    step: Step
    process: Process
    visible: int
    gpu_limit: Callable[[], int | None]
    name_of: Callable[[Any], str]
    params_of: Callable[[str], dict[str, Any]]
    benchmark_of: Callable[[str], Path]

    def threads(self, wildcards: Any) -> int:
        """CPUs of a job; all of this machine's where it measures time, so that it runs alone."""
        step, cluster = self.step, self.process.on_cluster()
        if step.alone and not cluster:
            return self.process.cores
        if step.cluster_threads is not None and cluster:
            return step.cluster_threads
        if step.threads == OWN_THREADS:
            return int(self.params_of(self.name_of(wildcards))["threads"])
        return int(step.threads)

    def resources(self) -> dict[str, Any]:
        """Snakemake's resources of the step's rule: numbers, and functions of the job that may say None."""
        needs: dict[str, Any] = {"mem_mb": self._memory, "runtime": self.step.runtime}
        if self.step.gpu:
            # One task starts the processes of all GPUs, and these their loaders: all on one node.
            needs |= {
                "gpu": self._gpus,
                "cpus_per_task": self._cpus,
                "tasks_per_gpu": self._on_cluster(0),
                "nodes": self._nodes,
            }
        if self.step.alone:
            needs["slurm_extra"] = self._on_cluster("--exclusive")
        return needs

    def gpus(self) -> int:
        """GPUs of a job: what the user gives it, else one if there are any; a cluster should have some."""
        if not self.step.gpu:
            return 0
        default = int(self.visible > 0 or self.process.on_cluster())
        asked = self.process.granted.get(self.step.name, default)
        limit = self.gpu_limit()
        return asked if limit is None else min(asked, limit)

    def _gpus(self, wildcards: Any) -> int:
        return self.gpus()

    def _memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes: by what the job took before, else by the table; for every process, more at a retry."""
        processes = max(1, self.gpus())
        measured = self._measured(self.name_of(wildcards)) if processes == 1 and self.step.grows else None
        memory = self.step.memory
        if measured is not None:
            memory = max(LEAST_MEMORY, math.ceil(HEADROOM * measured / 100) * 100)
        return memory * processes * (attempt if self.step.grows else 1)

    def _cpus(self, wildcards: Any) -> int | None:
        gpus = self.gpus()
        if not gpus or not self.process.on_cluster():
            return None
        return gpus * (self.threads(wildcards) + self.step.loaders)

    def _nodes(self, wildcards: Any) -> int | None:
        return 1 if self.gpus() > 1 and self.process.on_cluster() else None

    def _on_cluster(self, value: Any) -> Callable[[Any], Any]:
        return lambda wildcards: value if self.process.on_cluster() else None

    def _measured(self, name: str) -> float | None:
        """The most megabytes that the job, or the same run with another seed, took; None if not known."""
        path = self.benchmark_of(name)
        files = path.parent.glob(f"seed-*{path.suffix}") if path.name.startswith("seed-") else [path]
        found = [value for file in files if (value := _max_rss(file)) is not None]
        return max(found, default=None)


def _max_rss(path: Path) -> float | None:
    try:
        with open(path, newline="") as file:
            return max(float(row["max_rss"]) for row in csv.DictReader(file, delimiter="\t"))
    except (OSError, KeyError, ValueError):
        return None  # there is none, or its only job was too short to be measured (`NA`)


def check_shares(jobs: Iterable[PlannedJob], process: Process) -> None:
    """Refuse GPUs that are no number, and those that cannot share the batch of a run.

    Raises `InputError` that names the step, the run and what would be right, before any job waits for a GPU.
    """
    for step, gpus in process.granted.items():
        if gpus < 0:
            raise InputError(f"--set-resources {step}:gpu=: must be a number of GPUs, as in {step}:gpu=2")
    for job in jobs:
        gpus = process.granted.get(job.step, 1)
        if job.step not in SHARING or gpus < 2:
            continue
        batch, accumulate = job.params["recipe"]["batch"], job.params["recipe"]["accumulate"]
        at_a_time = batch // accumulate
        if at_a_time % gpus:
            possible = [n for n in range(1, gpus) if at_a_time % n == 0]
            in_parts = f" in {accumulate} micro-batches" if accumulate > 1 else ""
            raise InputError(
                f"--set-resources {job.step}:gpu={gpus}: run {job.name} has a batch of {batch}{in_parts}, "
                f"which {gpus} GPUs cannot share; use {' or '.join(map(str, possible))}, or another batch"
            )
