"""What SLURM is asked before jobs are handed to it, so that nothing waits for ever and nothing is done twice.

Snakemake's executor asks `sacct` how its jobs are, which answers only where SLURM keeps accounts; without,
it would wait for ever. It would also submit again what a killed run left in the queue (`queued_jobs.py`).
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.planning.live_runs import another_works
from pipeline_src.planning.queued_jobs import OWN_JOBS, left_jobs, refuse_left_jobs

SECONDS = 60
"""How long one of SLURM's commands may take."""

LONGEST_PAUSE = 180
"""Seconds that the executor may leave between two looks at its jobs."""


def prepare(settings: Any, asks_for_gpus: bool) -> list[str]:
    """Look at SLURM before the first job is submitted; returns what there is to say, in lines.

    `settings` are those of the executor, in which the way to follow jobs is put right.

    Raises `InputError` where SLURM does not answer, forgets finished jobs before they are seen, has no GPU
    for jobs that ask for one, or still has jobs of an earlier run.
    """
    configuration = read_configuration(_ask("scontrol", "show", "config"))
    if asks_for_gpus and not offers_gpus(_ask("sinfo", "--noheader", "--format=%G")):
        raise InputError(
            "no node of this cluster has a GPU: add `--resources gpu=0`, and all jobs run on CPUs"
        )
    if not another_works():
        refuse_left_jobs(left_jobs(_ask("squeue", *OWN_JOBS), Path.cwd()))
    if settings.status_command != "sacct" or keeps_accounts(configuration):
        return []
    age = seconds_of(configuration.get("MinJobAge", ""))
    if age is not None and age <= max(LONGEST_PAUSE, 3 * settings.init_seconds_before_status_checks):
        raise InputError(
            f"this SLURM keeps no accounts and forgets finished jobs after {age} s (MinJobAge), before "
            "Snakemake has seen that they are: ask its administrator for accounting, or MinJobAge=300 or more"
        )
    settings.status_command = "squeue"
    return ["this SLURM keeps no accounts: jobs are followed with squeue"]


def read_configuration(said: str) -> dict[str, str]:
    """What `scontrol show config` says, by name."""
    pairs = (line.partition("=") for line in said.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def keeps_accounts(configuration: Mapping[str, str]) -> bool:
    """Whether `sacct` will know of finished jobs."""
    if configuration.get("AccountingStorageType", "").endswith("/none"):
        return False
    try:
        _ask("sacct", "--noheader", "--allocations", "--starttime=now")
    except InputError:
        return False
    return True


def offers_gpus(said: str) -> bool:
    """Whether any line of `sinfo --format=%G` names a GPU."""
    return any(
        resource.startswith("gpu") for line in said.splitlines() for resource in line.strip().split(",")
    )


def seconds_of(said: str) -> int | None:
    """The number of `300 sec`; None for what is none."""
    found = re.match(r"\d+", said)
    return int(found[0]) if found else None


def _ask(*command: str) -> str:
    """What one of SLURM's commands prints; raises `InputError` where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"SLURM does not answer: {command[0]}: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise InputError(f"SLURM does not answer: {command[0]}: {lines[-1]}")
    return done.stdout
