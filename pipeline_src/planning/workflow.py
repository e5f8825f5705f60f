"""The planner as the Snakefile sees it: targets, inputs with their freshness, threads, options."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline_src.config.layers import Layer
from pipeline_src.config.load import as_written, load_params, read_yaml
from pipeline_src.config.study import Params
from pipeline_src.errors import INPUT_ERROR_EXIT, InputError
from pipeline_src.launch import visible_gpus
from pipeline_src.planning.jobs import Key, Plan, PlannedJob
from pipeline_src.planning.status import NOT_DONE, Status, assess
from pipeline_src.planning.summaries import plan_everything

WILDCARDS = {
    "fetch": "archive", "extract": "archive", "scenes": "dataset", "manifest": "dataset",
    "weights": "weights", "calibrate": "run", "train": "run", "evaluate": "run", "cost": "architecture",
    "probe": "run", "simulate": "figure", "tabulate": "study", "table": "table", "figure": "figure",
}  # fmt: skip
"""The wildcard that names a job of each step, in the rules of `workflow/`."""

SINGLE = {"join": "experiments", "report": "report"}
"""Steps with one job, and its name."""

LISTED_REASONS = 12
REASON_LENGTH = 200
"""What is said of changes when work is planned; `python -m pipeline_src plan` says all."""


class WorkflowPlan:
    """A plan with its statuses, asked by rules through their wildcards."""

    def __init__(self, params: Params, plan: Plan, statuses: Mapping[Key, Status]) -> None:
        self.params = params
        self.plan = plan
        self.statuses = statuses
        self.scale = params.scale
        self.gpus = visible_gpus()

    def job(self, step: str, wildcards: Any) -> PlannedJob:
        """The job that a rule's wildcards name; an unknown one is an `InputError`."""
        name = SINGLE[step] if step in SINGLE else str(getattr(wildcards, WILDCARDS[step]))
        try:
            return self.plan.jobs[step, name]
        except KeyError:
            raise InputError(
                f"there is no {WILDCARDS[step]} {name!r} at scale {self.scale}; "
                f"`python -m pipeline_src plan --scale {self.scale}` lists what there is"
            ) from None

    def inputs(
        self, step: str, wildcards: Any, forced: bool = False
    ) -> dict[str, tuple[str | list[str], bool]]:
        """`{name: (path or paths, fresh)}`, the job file among them, for the job of a rule.

        Of a fresh job, inputs that are not here are left out: Snakemake would have the job run again
        as soon as another job makes them. Not so where the user has jobs run that need not (`forced`).
        """
        job = self.job(step, wildcards)
        status = self.statuses.get(job.key)
        fresh = status is not None and status.fresh
        files: dict[str, str | list[str]] = {"job": str(job.file), **job.inputs}
        if fresh and not forced:
            files = {name: _present(paths) for name, paths in files.items()}
        return {name: (paths, fresh) for name, paths in files.items()}

    def threads(self, step: str, wildcards: Any) -> int:
        """Thread count from the job's own parameters."""
        return self.job(step, wildcards).threads

    def targets(self, step: str) -> list[str]:
        """Sidecars of all jobs of a step."""
        return [job.sidecar for job in self.plan.of(step)]

    @property
    def fetch_options(self) -> str:
        """Options of the fetching steps; they say where to look and never change what is found."""
        options = []
        if self.params.mirror is not None:
            options += ["--mirror", self.params.mirror]
        if self.params.accept_unverified:
            options.append("--accept-unverified")
        return shlex.join(options)

    def closing_line(self) -> str:
        """Where the results are; the page only exists once everything is done."""
        page = Path("results", self.scale, "report.html")
        return f"The report is {page}" if page.is_file() else f"Results are in {page.parent}/"

    def summary(self) -> list[str]:
        """How much is to be done, and by name what changed since a job was last done."""
        stale = [job for job in self.plan.jobs.values() if self.statuses[job.key].to_run]
        lines = [f"scale {self.scale}: {len(self.plan.jobs)} jobs, {len(stale)} to run"]
        changed: dict[str, list[str]] = {}
        for job in stale:
            own = [r for r in self.statuses[job.key].reasons if r != NOT_DONE and "made anew" not in r]
            if own:
                changed.setdefault("; ".join(own), []).append(f"{job.step} {job.name}")
        for reason, jobs in list(changed.items())[:LISTED_REASONS]:
            more = f" and {len(jobs) - 3} more" if len(jobs) > 3 else ""
            short = reason if len(reason) <= REASON_LENGTH else f"{reason[:REASON_LENGTH]} ..."
            lines.append(f"  {', '.join(jobs[:3])}{more}: {short}")
        if len(changed) > LISTED_REASONS:
            lines.append(f"  ... and {len(changed) - LISTED_REASONS} more; see `python -m pipeline_src plan`")
        if not stale:
            lines.append(self.closing_line())
        return lines


def open_plan(given: Mapping[str, Any], overlays: list[str], main_process: bool) -> WorkflowPlan:
    """Plan the configured scale for the Snakefile; bad parameters end the program with one line.

    `overlays` are the files of `--configfile`, read here as `params.yaml` is: Snakemake's own reading
    takes `5e-4` for a text. `given` are the values of `--config`, which win over them and of which
    Snakemake leaves `true` and `5e-4` as texts.

    In the main process users' folders are looked at, every job is compared with its last result,
    job files are written where they changed, and what is to be done is said on stderr. The
    processes in which Snakemake runs single jobs only look up paths.
    """
    try:
        layers = [Layer(path, read_yaml(path)) for path in overlays]
        if given:
            layers.append(Layer("--config", as_written(dict(given))))
        params = load_params(overlays=layers)
        plan = plan_everything(params, look=main_process)
        if not main_process:
            return WorkflowPlan(params, plan, {})
        workflow_plan = WorkflowPlan(params, plan, assess(plan))
        write_job_files(plan, workflow_plan.statuses)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(INPUT_ERROR_EXIT) from None
    print("\n".join(workflow_plan.summary()), file=sys.stderr)
    return workflow_plan


def _present(paths: str | list[str]) -> str | list[str]:
    """The paths that are there; a single one that is not becomes an empty list."""
    found = [path for path in ([paths] if isinstance(paths, str) else paths) if Path(path).exists()]
    return found[0] if isinstance(paths, str) and found else found


def write_job_files(plan: Plan, statuses: Mapping[Key, Status]) -> None:
    """Write the job files of all stale jobs, with the reason why each has to run."""
    for job in plan.jobs.values():
        status = statuses[job.key]
        if not status.fresh or not job.file.is_file():
            job.write(status.why, plan.origins(job))
