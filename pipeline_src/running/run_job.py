"""`python -m pipeline_src run JOB`: do one job, on what the machine grants it.

Before anything is computed, the job file and the code that would run are compared with what was
planned. Locally, a job takes the GPU slots that it was granted; with several GPUs it is started again
through torchrun. Where a scheduler has set CUDA_VISIBLE_DEVICES already (SLURM), or where there is no
GPU, nothing is changed.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pipeline_src.components import load, use_outside
from pipeline_src.errors import InputError
from pipeline_src.planning.plan_file import PlanFile
from pipeline_src.planning.steps import STEPS
from pipeline_src.provenance.job import Job
from pipeline_src.running.changed_meanwhile import check_code, check_inputs, check_unchanged, watch
from pipeline_src.running.gpus import acquire, visible_gpus
from pipeline_src.running.leftovers import remove_leftovers
from pipeline_src.running.machine_options import Machine, add_options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job file on the command line.

    Raises `InputError` for a job file that was changed, for code that is not the planned one, and for
    whatever the step refuses.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline_src run", description="Do one job.")
    add_options(parser)
    given = list(sys.argv[2:] if arguments is None else arguments)
    options = parser.parse_args(given)
    ranked = "RANK" in os.environ
    if options.warm and options.gpus == 0 and not ranked and "SLURM_JOB_ID" not in os.environ:
        from pipeline_src.running.warm_start import run_warm

        given.remove("--warm")
        status = run_warm(given)
        if status is not None:
            raise SystemExit(status)
    job = Job.load(options.job)
    if job.step not in STEPS:
        raise InputError(f"{options.job}: there is no step {job.step!r}")
    check_inputs(job)
    stamps = check_code(job)
    if options.gpus > 0 and not ranked:
        take_gpus(options.gpus)
        if options.gpus > 1 and STEPS[job.step].parallel:
            line = torchrun(options.gpus, given)
            os.execvpe(line[0], line, os.environ)
    if int(os.environ.get("RANK", 0)) == 0:
        remove_leftovers(job.outputs.values())
    function = step_function(job)
    check_unchanged(job, stamps)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = replace(job, why=why_of(job), before_record=watch(job, stamps))
    function(job, **Machine.of(options).for_step(STEPS[job.step].options))


def step_function(job: Job) -> Callable[..., None]:
    """Import the function that does a job, and the components that it will use.

    What the job names of outside the package is then known.
    """
    use_outside(job.components)
    for component in job.components:
        load(component.partition("=")[0])
    module, attribute = STEPS[job.step].function.split(":")
    function: Callable[..., None] = getattr(importlib.import_module(module), attribute)
    return function


def take_gpus(count: int) -> None:
    """Take slots of GPUs until this process ends, unless a scheduler or the lack of GPUs decides."""
    scheduled = "SLURM_JOB_ID" in os.environ and "CUDA_VISIBLE_DEVICES" in os.environ
    if not scheduled and (gpus := visible_gpus()):
        taken, locks = acquire(count, gpus)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
        for lock in locks:
            os.set_inheritable(lock.fileno(), True)
            HELD.append(lock)


HELD: list[Any] = []
"""Open lock files: closing one would give its slot back."""


def torchrun(ranks: int, arguments: Sequence[str]) -> list[str]:
    """The command line that runs a job in several processes of this machine."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [sys.executable, *launch, "-m", "pipeline_src", "run", *arguments]


def why_of(job: Job) -> str | None:
    """The reason for which the plan that started this process has the job run; None outside of one."""
    try:
        plan, _ = PlanFile.of_this_run()
        return plan.jobs[job.step][job.name].why
    except (InputError, KeyError):
        return None
