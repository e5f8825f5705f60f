"""The planner as the Snakefile sees it: targets, and for every rule what its jobs read, write and need."""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_nodes import Place
from pipeline_src.config.yaml_text import as_written, read_yaml
from pipeline_src.errors import INPUT_ERROR_EXIT, InputError
from pipeline_src.planning.live_runs import report_alive
from pipeline_src.planning.plan_file import PlanFile, PlannedFile, prune
from pipeline_src.planning.planned_job import Key, Plan, PlannedJob
from pipeline_src.planning.stale_outputs import let_be_replaced
from pipeline_src.planning.status import NOT_DONE, Status, assess
from pipeline_src.planning.steps import ALL_CORES, OWN_THREADS, STEPS, Step
from pipeline_src.planning.summary_jobs import plan_everything
from pipeline_src.provenance.job import Job, Paths
from pipeline_src.provenance.sidecar import as_list
from pipeline_src.running.gpus import visible_gpus

LISTED_REASONS = 12
REASON_LENGTH = 200
"""What is said of changes when work is planned; `python -m pipeline_src plan` says all."""


@dataclass(frozen=True)
class Process:
    """What the Snakefile knows of the process that reads it.

    A process that is not `main` runs single jobs of one.
    `forced`: the user has jobs run that need not. `cores` are those that Snakemake was given, and on a
    `cluster` it runs no job itself. `ancient` is Snakemake's mark of an input whose age says nothing.
    """

    main: bool = True
    forced: bool = False
    cores: int = 1
    cluster: bool = False
    ancient: Callable[[Paths], Any] = field(default=lambda paths: paths)


class WorkflowPlan:
    """A plan, asked by rules through their wildcards."""

    def __init__(
        self, planned: PlanFile, path: str, process: Process, jobs: Mapping[Key, PlannedJob] | None = None
    ) -> None:
        self.planned = planned
        self.path = path
        self.process = process
        self.scale = planned.scale
        self.gpus = visible_gpus()
        self._jobs = jobs

    def rule(self, step: str) -> "Rule":
        """A step as its rule sees it."""
        return Rule(self, STEPS[step])

    def entry(self, step: Step, name: str) -> PlannedFile:
        """What the plan says of a job; raises `InputError` for a name that it does not know."""
        try:
            return self.planned.jobs[step.name][name]
        except KeyError:
            raise InputError(
                f"there is no {step.wildcard} {name!r} at scale {self.scale}; "
                f"`python -m pipeline_src plan --scale {self.scale}` lists what there is"
            ) from None

    def job(self, step: Step, name: str) -> PlannedJob | Job:
        """A job of the plan, as it was planned."""
        file = self.entry(step, name).file
        return Job.load(file) if self._jobs is None else self._jobs[step.name, name]

    def targets(self, step: str) -> list[str]:
        """Sidecars of all jobs of a step."""
        names = self.planned.jobs.get(step, {})
        return [STEPS[step].path("sidecar", name, self.scale) for name in names]

    def closing_line(self) -> str:
        """Where the results are; the page only exists once everything is done."""
        return closing_line(self.scale)


class Rule:
    """One step's rule: a job file and inputs from the planner, all else from the table of steps."""

    def __init__(self, plan: WorkflowPlan, step: Step) -> None:
        self.plan_of_all = plan
        self.step = step

    # --- what goes in ---------------------------------------------------------------------------

    def job(self, wildcards: Any) -> Any:
        """Input function: the job file."""
        entry = self._entry(wildcards)
        return self._marked(entry, entry.file)

    def plan(self, wildcards: Any) -> list[str]:
        """Input function: the plan, which is newer than all results, for a job that has to run."""
        return [] if self._entry(wildcards).why is None else [self.plan_of_all.path]

    def input(self, name: str) -> Callable[[Any], Any]:
        """Input function for what the table of steps calls `name`: no, one or several files.

        Of a job that need not run, inputs that are not here are left out: Snakemake would have the job
        run again as soon as another job makes them. Not so where the user has jobs run that need not.
        """
        assert name in self.step.inputs, f"step {self.step.name} has no input {name}"

        def files(wildcards: Any) -> Any:
            entry = self._entry(wildcards)
            paths = self.plan_of_all.job(self.step, self._name(wildcards)).inputs.get(name, [])
            return self._marked(entry, paths)

        return files

    def _marked(self, entry: PlannedFile, paths: Paths) -> Any:
        process = self.plan_of_all.process
        if entry.why is not None or not process.main:
            return paths
        return process.ancient(paths if process.forced else _present(paths))

    # --- what comes out -------------------------------------------------------------------------

    def output(self, name: str) -> str:
        """Template of the path of an output."""
        return self.step.outputs[name]

    @property
    def log(self) -> str:
        """Template of the path of the log."""
        return self._with_scale(self.step.log)

    @property
    def benchmark(self) -> str:
        """Template of the path of the benchmark."""
        return self._with_scale(self.step.benchmark)

    # --- what it needs --------------------------------------------------------------------------

    @property
    def threads(self) -> Any:
        """A number of threads, or a function of the wildcards."""
        if self.step.threads == OWN_THREADS:
            return self._own_threads
        return self.plan_of_all.process.cores if self.step.threads == ALL_CORES else self.step.threads

    @property
    def gpu(self) -> int:
        """One GPU for every job that can use one, if there are any (or if a cluster has them)."""
        return int(self.step.gpu and bool(self.plan_of_all.gpus or self.plan_of_all.process.cluster))

    @property
    def memory(self) -> Any:
        """Megabytes, or a function of the attempt."""
        return self._growing_memory if self.step.grows else self.step.memory

    @property
    def runtime(self) -> int:
        """Minutes."""
        return self.step.runtime

    @property
    def local(self) -> bool:
        """Whether the jobs run where Snakemake runs, also on a cluster."""
        return self.step.local

    @property
    def message(self) -> str:
        """What a job does, in a few words."""
        return self.step.message.format(name=f"{{wildcards.{self.step.wildcard}}}")

    @property
    def options(self) -> str:
        """Options of the command that the parameters ask for."""
        planned = self.plan_of_all.planned
        options = ["--warm"] if self.step.gpu and planned.warm else []
        if "mirror" in self.step.options and planned.mirror is not None:
            options += ["--mirror", planned.mirror]
        if "accept_unverified" in self.step.options and planned.accept_unverified:
            options.append("--accept-unverified")
        return shlex.join(options)

    def _own_threads(self, wildcards: Any) -> int:
        threads: int = self.plan_of_all.job(self.step, self._name(wildcards)).params["threads"]
        return threads

    def _growing_memory(self, wildcards: Any, attempt: int) -> int:
        return self.step.memory * attempt

    def _name(self, wildcards: Any) -> str:
        return self.step.only or str(getattr(wildcards, self.step.wildcard))

    def _entry(self, wildcards: Any) -> PlannedFile:
        return self.plan_of_all.entry(self.step, self._name(wildcards))

    def _with_scale(self, template: str) -> str:
        """Where the outputs are the same at every scale, logs are not: their paths name this one."""
        if "{scale}" in self.output("sidecar"):
            return template
        return template.replace("{scale}", self.plan_of_all.scale)


def open_plan(given: Mapping[str, Any], overlays: list[str], process: Process) -> WorkflowPlan:
    """Plan the configured scale for the Snakefile; bad parameters end the program with one line.

    `overlays` are the files of `--configfile`, read here as `params.yaml` is: Snakemake itself
    reads `5e-4` as a string. `given` are the values of `--config`, which win over them and of which
    Snakemake leaves `true` and `5e-4` as strings.

    In the main process users' folders are looked at, every job is compared with its last result, and
    what is to be done is said on stderr; job files and the plan are written beside those of other plans.
    The processes in which Snakemake runs single jobs read the plan that started them.
    """
    try:
        if not process.main:
            return WorkflowPlan(*PlanFile.of_this_run(), process)
        if taken_away := report_alive():
            print(taken_away, file=sys.stderr)
        layers = [Layer(path, read_yaml(path)) for path in overlays]
        if given:
            layers.append(Layer("--config", as_written(dict(given), Place("--config", lines=False))))
        params = load_params(overlays=layers)
        plan = plan_everything(params)
        statuses = assess(plan)
        jobs: dict[str, dict[str, PlannedFile]] = {}
        for key, planned in plan.jobs.items():
            job = plan.as_job(planned)
            fresh = statuses[key].fresh
            if not fresh or process.forced:
                job.write()
            why = None if fresh else statuses[key].why
            jobs.setdefault(planned.step, {})[planned.name] = PlannedFile(str(job.path), why)
        file = PlanFile(params.scale, jobs, params.warm_start, params.mirror, params.accept_unverified)
        prune(params.scale)
        path = file.publish(keep=process.cluster)
        again = [job for job in plan.jobs.values() if process.forced or not statuses[job.key].fresh]
        let_be_replaced(
            outputs=(output for job in again for output in job.outputs.values()),
            inputs=(source for job in again for paths in job.inputs.values() for source in as_list(paths)),
            younger=path,
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(INPUT_ERROR_EXIT) from None
    print("\n".join(work_to_do(plan, statuses)), file=sys.stderr)
    return WorkflowPlan(file, path, process, plan.jobs)


def closing_line(scale: str) -> str:
    """Where the results of a scale are."""
    page = Path("results", scale, "report.html")
    return f"The report is {page}" if page.is_file() else f"Results are in {page.parent}/"


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


def _present(paths: Paths) -> Paths:
    """The paths that are there; a single one that is not becomes an empty list."""
    found = [path for path in ([paths] if isinstance(paths, str) else paths) if Path(path).exists()]
    return found[0] if isinstance(paths, str) and found else found
