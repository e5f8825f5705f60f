"""How much work is left of each step, by how long its done jobs took."""

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline_src.files import read_json
from pipeline_src.planning.freshness import Status
from pipeline_src.planning.planned_job import Key, Plan, PlannedJob


@dataclass(frozen=True)
class WorkLeft:
    """Numbers of jobs of one step; `median` is how many seconds a done one took, None where none is done."""

    cached: int
    to_run: int
    not_needed: int
    median: float | None

    @property
    def seconds(self) -> float | None:
        """Of the jobs to run, one after the other; None where there are none, or no job is done."""
        return self.to_run * self.median if self.to_run and self.median is not None else None


def work_left(jobs: Collection[PlannedJob], statuses: Mapping[Key, Status], median: float | None) -> WorkLeft:
    """What is left of `jobs`, all of one step whose done jobs took `median` seconds."""
    to_run = sum(statuses[job.key].to_run for job in jobs)
    not_needed = sum(not statuses[job.key].needed for job in jobs)
    return WorkLeft(len(jobs) - to_run - not_needed, to_run, not_needed, median)


def median_seconds(plan: Plan, statuses: Mapping[Key, Status]) -> dict[str, float]:
    """Median duration of this scale's done jobs, by step."""
    seconds: dict[str, list[float]] = {}
    for job in plan.jobs.values():
        if statuses[job.key].fresh:
            seconds.setdefault(job.step, []).append(read_json(job.sidecar)["timing"]["seconds"])
    return {step: statistics.median(values) for step, values in seconds.items()}
