"""A plan as the processes of one workflow run share it: which job file each job has, and why it runs.

The process that plans writes one such file, under a name of its own, and names it in the environment.
The processes in which a cluster runs single jobs read it and plan nothing: whatever was edited
since, they do what was planned. Planning again, in a dry run too, writes other files.
"""

import atexit
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.files import read_json, write_text

PLAN_FORMAT = 1
PLAN_VARIABLE = "FUSEBENCH_PLAN"
"""The environment variable that names the plan of a workflow run."""

KEPT_SECONDS = 90 * 24 * 3600
"""Plans and job files that are older and that no younger plan names are removed."""


@dataclass(frozen=True)
class PlannedFile:
    """The job file of a job, why the job has to run (None where it need not), and its rank in its step."""

    file: str
    why: str | None
    rank: int = 0


@dataclass(frozen=True)
class PlanFile:
    """The jobs of a scale by step and name, and what the parameters say of this machine."""

    scale: str
    jobs: dict[str, dict[str, PlannedFile]]
    warm: bool = False
    mirror: str | None = None
    accept_unverified: bool = False
    gpu_limit: int | None = None
    """GPUs that all jobs may have together, where the user said so: a cluster's jobs are not told."""

    @classmethod
    def load(cls, path: str | Path) -> "PlanFile":
        """Read a plan; raises `InputError` where it is missing, damaged or of another format."""
        value = read_json(path)
        try:
            if value.pop("format") != PLAN_FORMAT:
                raise ValueError
            jobs = {
                step: {name: PlannedFile(**entry) for name, entry in of_step.items()}
                for step, of_step in value.pop("jobs").items()
            }
            return cls(jobs=jobs, **value)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: no plan of format {PLAN_FORMAT}; start the workflow again") from None

    @classmethod
    def of_this_run(cls) -> tuple["PlanFile", str]:
        """The plan that the environment names, and its path; raises `InputError` where there is none."""
        path = os.environ.get(PLAN_VARIABLE)
        if path is None:
            raise InputError(f"{PLAN_VARIABLE} is not set: only a running workflow starts single jobs")
        return cls.load(path), path

    def publish(self, keep: Callable[[], bool]) -> str:
        """Write the plan under a name of its own, name it in the environment, and return its path.

        It is removed when this process ends, unless `keep()` says then that other machines may read it.
        """
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        path = Path("work", self.scale, "plans", f"{moment}-{os.getpid()}.json")
        value = {"format": PLAN_FORMAT, **asdict(self)}
        write_text(path, json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        os.environ[PLAN_VARIABLE] = str(path)
        atexit.register(_remove_unless, keep, path.absolute())
        return str(path)


def _remove_unless(keep: Callable[[], bool], path: Path) -> None:
    if not keep():
        path.unlink(missing_ok=True)


def prune(scale: str) -> None:
    """Remove old plans, and old job files that no plan names: nothing that may still run reads them."""
    work = Path("work", scale)
    expired = time.time() - KEPT_SECONDS
    named = set()
    for path in work.glob("plans/*.json"):
        try:
            if path.stat().st_mtime < expired:
                path.unlink(missing_ok=True)
                continue
            jobs = PlanFile.load(path).jobs
        except (OSError, InputError):
            continue  # removed by its own process meanwhile, or another version's, which keeps to itself
        for of_step in jobs.values():
            named |= {entry.file for entry in of_step.values()}
    for path in work.glob("jobs/**/*.json"):
        if path.stat().st_mtime < expired and str(path) not in named:
            path.unlink(missing_ok=True)
