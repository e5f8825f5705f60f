"""Job files as the planner writes them, and the one command that runs them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline_src.planning.planned_job import PlannedJob
from pipeline_src.provenance.job import Job
from pipeline_src.running.run_job import main


def write_job_file(
    folder: Path,
    step: str,
    params: dict[str, Any],
    outputs: dict[str, str],
    inputs: dict[str, Any] | None = None,
    *,
    name: str = "test",
    scale: str = "demo",
    components: tuple[str, ...] = (),
    digest: str | None = None,
) -> Path:
    """A job file in `folder`; `digest` stands for an identity that the job does not have."""
    planned = PlannedJob(step, name, scale, params, outputs, inputs or {}, components)
    job = Job(
        step=step,
        name=name,
        scale=scale,
        params=params,
        inputs=planned.inputs,
        outputs=outputs,
        components=components,
        code=planned.code,
        digest=digest or planned.digest,
    )
    return job.write(folder / job.file_name)


def change_job(path: Path, change: Callable[[Job], None]) -> Path:
    """Another job file beside the first, after `change` was made to what it says."""
    job = dataclasses.replace(Job.load(path))
    change(job)
    return job.write(path.with_name(job.file_name))


def run_job(path: Path | str, *options: str) -> None:
    """`python -m pipeline_src run` in this process."""
    main([str(path), *options])
