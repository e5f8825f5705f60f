"""The plan of a workflow run, made once by the process that the user started."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import as_written, read_yaml
from pipeline_src.planning.freshness import NOT_DONE, Status, assess
from pipeline_src.planning.live_runs import report_alive
from pipeline_src.planning.needs import check_shares
from pipeline_src.planning.plan_file import PlanFile, PlannedFile, prune
from pipeline_src.planning.planned_job import Key, Plan
from pipeline_src.planning.process import Process
from pipeline_src.planning.stale_outputs import let_be_replaced
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.planning.workflow import closing_line
from pipeline_src.provenance.sidecar import as_list

LISTED_REASONS = 12
REASON_LENGTH = 200
"""What is said of changes when work is planned; `python -m pipeline_src plan` says all."""


@dataclass(frozen=True)
class MadePlan:
    """A plan, and the file at `path` that tells other processes of it."""

    plan: Plan
    file: PlanFile
    path: str


def make_plan(given: Mapping[str, Any], overlays: list[str], process: Process) -> MadePlan:
    """Plan the configured scale; raises `InputError` for bad parameters.

    `overlays` are the files of `--configfile`, read here as `params.yaml` is: Snakemake itself
    reads `5e-4` as a string. `given` are the values of `--config`, which win over them and of which
    Snakemake leaves `true` and `5e-4` as strings.

    Users' folders are looked at, every job is compared with its last result, and what is to be done is
    said on stderr; job files and the plan are written beside those of other plans.
    """
    if taken_away := report_alive():
        print(taken_away, file=sys.stderr)
    layers = [Layer(path, read_yaml(path)) for path in overlays]
    if given:
        layers.append(Layer("--config", as_written(dict(given), Place("--config", lines=False))))
    params = load_params(overlays=layers)
    plan = plan_everything(params)
    check_shares(plan.jobs.values(), process)
    statuses = assess(plan)
    jobs: dict[str, dict[str, PlannedFile]] = {}
    for key, planned in plan.jobs.items():
        job = plan.as_job(planned)
        fresh = statuses[key].fresh
        if not fresh or process.forced:
            job.write()
        why = None if fresh else statuses[key].why
        jobs.setdefault(planned.step, {})[planned.name] = PlannedFile(str(job.path), why, planned.rank)
    file = PlanFile(
        params.scale,
        jobs,
        warm=params.warm_start,
        mirror=params.mirror,
        accept_unverified=params.accept_unverified,
        gpu_limit=process.gpu_limit(),
    )
    prune(params.scale)
    path = file.publish(keep=process.shares_plan)
    again = [job for job in plan.jobs.values() if process.forced or not statuses[job.key].fresh]
    let_be_replaced(
        outputs=(output for job in again for output in job.outputs.values()),
        inputs=(source for job in again for paths in job.inputs.values() for source in as_list(paths)),
        younger=path,
    )
    print("\n".join(work_to_do(plan, statuses)), file=sys.stderr)
    return MadePlan(plan, file, path)


def work_to_do(plan: Plan, statuses: Mapping[Key, Status]) -> list[str]:
    """How much is to be done, and by name what changed since a job was last done, in lines."""
    stale = [job for job in plan.jobs.values() if statuses[job.key].to_run]
    lines = [f"scale {plan.scale}: {len(plan.jobs)} jobs, {len(stale)} to run"]
    changed: dict[str, list[str]] = {}
    for job in stale:
        own = [r for r in statuses[job.key].reasons if r != NOT_DONE and "is rebuilt" not in r]
        if own:
            changed.setdefault("; ".join(own), []).append(f"{job.step} {job.name}")
    for reason, jobs in list(changed.items())[:LISTED_REASONS]:
        more = f" and {len(jobs) - 3} more" if len(jobs) > 3 else ""
        short = reason if len(reason) <= REASON_LENGTH else f"{reason[:REASON_LENGTH]} ..."
        lines.append(f"  {', '.join(jobs[:3])}{more}: {short}")
    if len(changed) > LISTED_REASONS:
        lines.append(f"  ... and {len(changed) - LISTED_REASONS} more; see `python -m pipeline_src plan`")
    if not stale:
        lines.append(closing_line(plan.scale))
    return lines
