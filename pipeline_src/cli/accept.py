"""`accept`: take results over that other code made, where the user says that the code computes the same."""

import argparse
from pathlib import Path

from pipeline_src.cli.text import columns
from pipeline_src.config.study import Params
from pipeline_src.errors import InputError
from pipeline_src.planning.accept import accept, acceptable
from pipeline_src.planning.live_runs import alive
from pipeline_src.planning.steps import REPORT
from pipeline_src.planning.summary_jobs import plan_everything


def run_accept(params: Params, options: argparse.Namespace) -> int:
    """List what could be taken over, or with a reason take it over; raises `InputError` beside a live run."""
    plan = plan_everything(params)
    page = REPORT.path("sidecar", REPORT.only, params.scale)
    jobs = [one for one in acceptable(plan) if one.job.sidecar != page]
    if options.step is not None:
        jobs = [one for one in jobs if one.job.step == options.step]
    if jobs:
        rows = [[one.job.step, one.job.name, "; ".join(one.changes)] for one in jobs]
        print("\n".join(columns([["STEP", "JOB", "CHANGED CODE"], *rows])))
    if not jobs:
        print("There is no result of which nothing but code changed.")
    elif options.reason is None:
        print(f"\n{len(jobs)} results could be accepted; nothing was: say why with --reason TEXT")
    elif not options.reason.strip():
        raise InputError("--reason: say in a few words why the code computes the same")
    elif running := alive():
        raise InputError(
            f"a run works in this folder (process {', '.join(running)}); wait until it has ended"
        )
    else:
        accept(plan, jobs, options.reason.strip())
        Path(page).unlink(missing_ok=True)
        print(f"\n{len(jobs)} results accepted; the next run makes the report again, which gives the reason")
    return 0
