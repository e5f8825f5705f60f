"""`plan`: what would run, what is cached, what would resume, with the reason for each."""

import argparse
import json
from typing import Any

from pipeline_src.cli.price import graph_price, price_lines
from pipeline_src.cli.text import columns, duration
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.freshness import Status, assess
from pipeline_src.planning.graph import GraphBuilder
from pipeline_src.planning.library_versions import in_words, library_changes
from pipeline_src.planning.planned_job import Key, Plan, PlannedJob
from pipeline_src.planning.summary_jobs import Summaries
from pipeline_src.planning.work_left import WorkLeft, median_seconds, work_left
from pipeline_src.provenance.sidecar import Sidecar


def run_plan(params: Params, options: argparse.Namespace) -> int:
    """Print every job's state; nothing is written."""
    graph = GraphBuilder(params)
    plan = Summaries(graph).build()
    statuses = assess(plan)
    steps = list(dict.fromkeys(job.step for job in plan.jobs.values()))
    if options.step is not None and options.step not in steps:
        raise InputError(f"--step {options.step!r}: no such step; use {', '.join(steps)}")
    jobs = [job for job in plan.jobs.values() if options.step in (None, job.step)]
    estimates = median_seconds(plan, statuses)
    libraries = [library_changes(Sidecar.load(job.sidecar)) for job in jobs if statuses[job.key].fresh]
    if options.json:
        print(json.dumps(_as_json(params, plan, jobs, statuses, estimates), indent=1))
        return 0
    rows = [["STATE", "STEP", "JOB", "WHY"]]
    for job in jobs:
        status = statuses[job.key]
        rows.append([_state(status), job.step, job.name, status.why or ""])
    print("\n".join(columns(rows)))
    print()
    for step in steps:
        if options.step in (None, step):
            of_step = [job for job in jobs if job.step == step]
            print(_step_line(step, work_left(of_step, statuses, estimates.get(step))))
    if line := in_words(libraries):
        print(line)
    if options.step is None:
        print("\n".join(["", *price_lines(graph_price(graph, statuses))]))
    return 0


def _state(status: Status) -> str:
    if not status.to_run:
        return "cached" if status.fresh else "not needed"
    return "run" if status.resume_step is None else f"resume at step {status.resume_step}"


def _as_json(
    params: Params,
    plan: Plan,
    jobs: list[PlannedJob],
    statuses: dict[Key, Status],
    estimates: dict[str, float],
) -> dict[str, Any]:
    return {
        "scale": params.scale,
        "jobs": [
            {
                "step": job.step,
                "name": job.name,
                "state": "run" if statuses[job.key].to_run else _state(statuses[job.key]),
                "why": list(statuses[job.key].reasons),
                "resume_step": statuses[job.key].resume_step,
                "digest": job.digest,
                "file": str(plan.as_job(job).path),
                "outputs": job.outputs,
            }
            for job in jobs
        ],
        "median_seconds_of_done_jobs": estimates,
    }


def _step_line(step: str, left: WorkLeft) -> str:
    line = f"{step}: {left.cached} cached, {left.to_run} to run"
    if left.not_needed:
        line += f", {left.not_needed} not needed"
    if left.seconds is not None and left.median is not None:
        line += f", about {duration(left.seconds)} of work (median of done jobs: {duration(left.median)})"
    return line
