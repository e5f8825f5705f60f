"""`verify`: are the results what their records say, and do the tables follow from them? Needs no GPU."""

import argparse
import json
import logging
import shutil
from collections import Counter
from pathlib import Path

from pipeline_src.config.study import Params
from pipeline_src.planning.freshness import Status, assess
from pipeline_src.planning.planned_job import Plan, PlannedJob
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.progress import track
from pipeline_src.provenance.verify import Checked, check_record

MEGABYTE = 1e6


def run_verify(params: Params, options: argparse.Namespace) -> int:
    """Check every digest, make tables, figures and the page again, and print what differs; 1 if any does."""
    logging.disable(logging.INFO)
    plan = plan_everything(params)
    statuses = assess(plan)
    there = [job for job in plan.jobs.values() if Path(job.sidecar).exists()]
    found = [check_record(job.sidecar) for job in track(there, len(there), "compare", "record")]
    faults = [fault for one in found for fault in one.faults]
    fresh = [job for job in there if statuses[job.key].fresh]
    again: Counter[str] = Counter()
    if not options.digests_only:
        faults += _recompute(plan, fresh, again)
    left = [job for job in there if not statuses[job.key].fresh]
    if options.json:
        print(json.dumps(_as_json(found, again, left, faults), indent=1))
    else:
        print("\n".join(_as_text(params.scale, found, again, [(job, statuses[job.key]) for job in left])))
        print("\n".join(f"FAULT {fault}" for fault in faults) or "No fault was found.")
    return 1 if faults else 0


def _recompute(plan: Plan, fresh: list[PlannedJob], again: Counter[str]) -> list[str]:
    from pipeline_src.running.recompute import RECOMPUTED, check_metrics, recompute

    faults: list[str] = []
    folder = Path("work", plan.scale, "verify")
    for job in track(fresh, len(fresh), "make again", "job"):
        if job.step in RECOMPUTED:
            again[job.step] += 1
            faults += recompute(plan.as_job(job), folder / job.step / job.name)
        elif job.step == "evaluate":
            again["metrics"] += 1
            faults += check_metrics(job.outputs["metrics"])
    shutil.rmtree(folder, ignore_errors=True)
    return faults


def _as_text(
    scale: str, found: list[Checked], again: Counter[str], left: list[tuple[PlannedJob, Status]]
) -> list[str]:
    files, size = sum(one.files for one in found), sum(one.bytes for one in found)
    absent = sum(one.absent for one in found)
    lines = [f"scale {scale}: {len(found)} records, {files} files with {size / MEGABYTE:.1f} MB compared"]
    if absent:
        lines.append(f"{absent} inputs are not here and were not compared")
    if again:
        lines.append(f"made again and compared: {', '.join(f'{n} {step}' for step, n in again.items())}")
    lines += [
        f"not made again, since it is to run: {job.step} {job.name}: {status.why}" for job, status in left
    ]
    return lines


def _as_json(
    found: list[Checked], again: Counter[str], left: list[PlannedJob], faults: list[str]
) -> dict[str, object]:
    return {
        "records": len(found),
        "files": sum(one.files for one in found),
        "bytes": sum(one.bytes for one in found),
        "inputs_not_here": sum(one.absent for one in found),
        "made_again": dict(again),
        "to_run": [f"{job.step} {job.name}" for job in left],
        "faults": faults,
    }
