"""The planner's unit: one job with its identity, where it reads and writes, and what it waits for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from pipeline_src.files import digest_of
from pipeline_src.planning.steps import STEPS, Step
from pipeline_src.provenance.closure import code_identity
from pipeline_src.provenance.job import Job, Paths

Key = tuple[str, str]
"""A job's step and name."""


@dataclass(frozen=True)
class PlannedJob:
    """A job before it runs.

    `params` identify the work and `components` are the entries of the component table that it
    names; both, with the step's code, make `digest`. `inputs` and `outputs` are paths. `not_identifying`
    names parameters that only say where to look or what to check: they do not identify the work.
    `note` says of a user's folder what changed in it. A job that is made `on_demand` runs only where its
    result is asked for. Of jobs of a step, those of a lower `rank` start first: the first seeds of all rows.
    """

    step: str
    name: str
    scale: str
    params: dict[str, Any]
    outputs: dict[str, str]
    inputs: dict[str, Paths] = field(default_factory=dict)
    components: tuple[str, ...] = ()
    not_identifying: tuple[str, ...] = ()
    note: str = ""
    on_demand: bool = False
    rank: int = 0

    @property
    def key(self) -> Key:
        """Step and name."""
        return self.step, self.name

    @property
    def sidecar(self) -> str:
        """The output that is written last and says how the others came to be."""
        return self.outputs["sidecar"]

    @property
    def input_paths(self) -> Iterator[tuple[str, str]]:
        """`(input name, path)` for every input file."""
        for name, paths in self.inputs.items():
            for path in [paths] if isinstance(paths, str) else paths:
                yield name, path

    @cached_property
    def code(self) -> dict[str, Any]:
        """Identity of the code that the job can reach."""
        return _code_of(self.step, self.components)

    @cached_property
    def digest(self) -> str:
        """Identity of the job: step, parameters and code; paths and machine do not count.

        A parameter that is null says that something is not used, which is the same as not saying it:
        a new optional parameter does not rerun the jobs that leave it out.
        """
        params = without_null(
            {key: value for key, value in self.params.items() if key not in self.not_identifying}
        )
        return digest_of({"step": self.step, "params": params, "code": self.code["digest"]})


@cache
def _code_of(step: str, components: tuple[str, ...]) -> dict[str, Any]:
    """Many jobs have the same code; what is returned is shared and not to be changed."""
    return code_identity(STEPS[step].module, components)


def without_null(value: Any) -> Any:
    """The same tree without the entries of mappings that are null."""
    if isinstance(value, dict):
        return {key: without_null(entry) for key, entry in value.items() if entry is not None}
    return [without_null(entry) for entry in value] if isinstance(value, list) else value


class Plan:
    """All jobs of one scale, each once, in an order in which inputs come before their users.

    With `strict_environment` results of other library versions are made again.
    """

    def __init__(self, scale: str, strict_environment: bool = False) -> None:
        self.scale = scale
        self.strict_environment = strict_environment
        self.jobs: dict[Key, PlannedJob] = {}
        self.makers: dict[str, PlannedJob] = {}
        self._origins: dict[Key, str] = {}

    def path(self, step: Step, output: str, name: str) -> str:
        """The path of an output of a step's job, whether it is planned yet or not."""
        return step.path(output, name, self.scale)

    def create(
        self,
        step: Step,
        name: str,
        *,
        params: dict[str, Any],
        inputs: dict[str, Paths] | None = None,
        components: tuple[str, ...] = (),
        not_identifying: tuple[str, ...] = (),
        note: str = "",
        on_demand: bool = False,
        rank: int = 0,
        file_names: dict[str, str] | None = None,
    ) -> PlannedJob:
        """Plan a job of a step and return it, or the same one where it is planned already.

        `file_names` fill further fields of the step's output paths.
        """
        assert set(inputs or {}) <= set(step.inputs), f"{step.name} has no inputs {set(inputs or {})}"
        return self.add(
            PlannedJob(
                step=step.name,
                name=name,
                scale=self.scale,
                params=params,
                outputs=step.paths(name, self.scale, **(file_names or {})),
                inputs=inputs or {},
                components=components,
                not_identifying=not_identifying,
                note=note,
                on_demand=on_demand,
                rank=rank,
            )
        )

    def add(self, job: PlannedJob) -> PlannedJob:
        """Add a job whose inputs are in the plan already; the same job twice is added once."""
        known = self.jobs.get(job.key)
        if known is not None:
            assert known == job, f"two different jobs are called {job.key}"
            return known
        self.jobs[job.key] = job
        for path in job.outputs.values():
            assert path not in self.makers, f"{path} has two makers"
            self.makers[path] = job
        return job

    def of(self, step: str) -> list[PlannedJob]:
        """All jobs of a step."""
        return [job for job in self.jobs.values() if job.step == step]

    def needed_by(self, job: PlannedJob) -> list[PlannedJob]:
        """The jobs that make `job`'s inputs."""
        return [self.makers[path] for _, path in job.input_paths if path in self.makers]

    def users(self) -> dict[Key, list[PlannedJob]]:
        """For every job, the jobs that read what it makes."""
        users: dict[Key, list[PlannedJob]] = {key: [] for key in self.jobs}
        for job in self.jobs.values():
            for maker in self.needed_by(job):
                users[maker.key].append(job)
        return users

    def lineage(self, path: str) -> str | None:
        """Identity of everything that leads to a file: its maker's and, below it, its inputs' makers'.

        None for a file that no job makes. It needs no file to be there, so a result can tell whether
        an input that was since removed would be made in the same way again.
        """
        maker = self.makers.get(path)
        if maker is None:
            return None
        if maker.key not in self._origins:
            below = {name: self._origin_of(paths) for name, paths in maker.inputs.items()}
            self._origins[maker.key] = digest_of([maker.digest, below])
        return self._origins[maker.key]

    def lineages(self, job: PlannedJob) -> dict[str, Any]:
        """`{input name: lineage, or a list of them}` for a job's inputs."""
        return {name: self._origin_of(paths) for name, paths in job.inputs.items()}

    def as_job(self, planned: PlannedJob) -> Job:
        """The job as a step gets it."""
        return Job(
            step=planned.step,
            name=planned.name,
            scale=planned.scale,
            params=planned.params,
            inputs=planned.inputs,
            outputs=planned.outputs,
            components=planned.components,
            code=planned.code,
            digest=planned.digest,
            lineages=self.lineages(planned),
            makers={maker.sidecar: maker.digest for maker in self.needed_by(planned)},
        )

    def _origin_of(self, paths: Paths) -> Any:
        return self.lineage(paths) if isinstance(paths, str) else [self.lineage(path) for path in paths]
