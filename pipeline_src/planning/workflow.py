"""The planner as the Snakefile sees it: targets, and for every rule what its jobs read, write and need."""

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline_src.errors import INPUT_ERROR_EXIT, InputError
from pipeline_src.planning import slurm
from pipeline_src.planning.needs import Needs
from pipeline_src.planning.plan_file import PlanFile, PlannedFile
from pipeline_src.planning.planned_job import Key, PlannedJob
from pipeline_src.planning.process import Process
from pipeline_src.planning.steps import STEPS, Step
from pipeline_src.provenance.job import Job, Paths
from pipeline_src.running.gpus import visible_gpus


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

    def gpu_limit(self) -> int | None:
        """GPUs that all jobs may have together: as Snakemake was told here, or where the plan was made."""
        limit = self.process.gpu_limit()
        return self.planned.gpu_limit if limit is None else limit

    def prepare_slurm(self, settings: Any, asks_for_gpus: bool) -> None:
        """Look at SLURM before the first job; what cannot work ends the program with one line."""
        try:
            for line in slurm.prepare(settings, asks_for_gpus):
                print(line, file=sys.stderr)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(INPUT_ERROR_EXIT) from None

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
    def threads(self) -> Callable[[Any], int]:
        """A function of the wildcards."""
        return self.needs.threads

    @property
    def resources(self) -> dict[str, Any]:
        """All of Snakemake's resources."""
        return self.needs.resources()

    @property
    def priority(self) -> Callable[[Any], int]:
        """A function of the wildcards: the step's priority, less the job's rank."""
        return lambda wildcards: max(self.step.priority - self._entry(wildcards).rank, 0)

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

    @property
    def needs(self) -> Needs:
        """What the jobs need of a machine."""
        plan = self.plan_of_all
        return Needs(
            step=self.step,
            process=plan.process,
            visible=len(plan.gpus),
            gpu_limit=plan.gpu_limit,
            name_of=self._name,
            params_of=lambda name: plan.job(self.step, name).params,
            benchmark_of=self._benchmark_file,
        )

    def _benchmark_file(self, name: str) -> Path:
        fields = {"scale": self.plan_of_all.scale, self.step.wildcard or "_": name}
        return Path(self.benchmark.format(**fields))

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

    The main process plans as `make_plan` does. The processes in which Snakemake runs single jobs read the
    plan that started them, and load nothing that only planning needs: a cluster's job starts two of them.
    """
    try:
        if not process.main:
            return WorkflowPlan(*PlanFile.of_this_run(), process)
        from pipeline_src.planning.make_plan import make_plan

        made = make_plan(given, overlays, process)
        return WorkflowPlan(made.file, made.path, process, made.plan.jobs)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(INPUT_ERROR_EXIT) from None


def closing_line(scale: str) -> str:
    """Where the results of a scale are."""
    page = Path("results", scale, "report.html")
    return f"The report is {page}" if page.is_file() else f"Results are in {page.parent}/"


def _present(paths: Paths) -> Paths:
    """The paths that are there; a single one that is not becomes an empty list."""
    found = [path for path in ([paths] if isinstance(paths, str) else paths) if Path(path).exists()]
    return found[0] if isinstance(paths, str) and found else found
