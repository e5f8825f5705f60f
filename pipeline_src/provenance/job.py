"""A job as it travels from the planner to a step: one JSON file.

The job file holds everything that identifies the work (`params`, `code`), where its inputs are
and where its results go. A step is a plain function of it and needs neither the configuration nor
the workflow system. The end of the file's name is a digest of what it says, so a job file is
never rewritten: other parameters are another file.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline_src.errors import InputError
from pipeline_src.files import digest_of, read_json, write_json
from pipeline_src.options import from_json
from pipeline_src.provenance.sidecar import JobRecord, Sidecar

JOB_FORMAT = 2
ADDRESS_LENGTH = 12

Paths = str | list[str]
"""One input file, or several of one kind."""

Parameters = TypeVar("Parameters")


@dataclass(frozen=True)
class Job:
    """One unit of work: what it is (`params`, `code`), what it reads and what it writes.

    `components` are the entries of the component table that it uses, `lineages` the identities of what
    makes its inputs, by input, and `makers` the digests of the jobs that make them, by their sidecars.
    `why` is the reason for which it runs now, and `before_record` is called before its result is recorded,
    and may refuse that; both stand in no job file.
    """

    step: str
    name: str
    scale: str
    params: dict[str, Any]
    inputs: dict[str, Paths]
    outputs: dict[str, str]
    code: dict[str, Any]
    digest: str
    components: tuple[str, ...] = ()
    lineages: dict[str, Any] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    why: str | None = None
    before_record: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)
    started: float = field(default_factory=time.time, compare=False)

    @classmethod
    def load(cls, path: str | Path) -> "Job":
        """Read a job file.

        Raises `InputError` when the file is missing, damaged or of another format, or does not say what
        its name stands for: it was changed after it was planned.
        """
        value = read_json(path)
        if not isinstance(value, dict) or value.pop("format", None) != JOB_FORMAT:
            raise InputError(f"{path}: not a job file of format {JOB_FORMAT}")
        try:
            job = cls(**{**value, "components": tuple(value["components"])})
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: not a whole job file ({error})") from None
        if job.file_name != Path(path).name:
            raise InputError(
                f"{path}: was changed after it was planned (by what it says, it would be {job.file_name}); "
                "plan again"
            )
        return job

    def write(self, path: str | Path | None = None) -> Path:
        """Write the job file, unless it is there, to `path` or where the planner puts it; returns the path.

        Raises `ValueError` for a path that ends in another name than `file_name`.
        """
        path = Path(path or self.path)
        if path.name != self.file_name:
            raise ValueError(f"{path}: a job file that says this is called {self.file_name}")
        try:
            Job.load(path)
        except InputError:
            write_json(path, self._said())
        return path

    @property
    def path(self) -> Path:
        """Where the planner puts the job file."""
        return Path("work", self.scale, "jobs", self.step, *self.name.split("/")[:-1], self.file_name)

    @property
    def file_name(self) -> str:
        """The last part of the job's name, and a digest of all that the file says.

        Of the code it takes the digest, which stands for the rest.
        """
        said = {**self._said(), "code": self.code.get("digest")}
        return f"{self.name.rpartition('/')[2]}.{digest_of(said)[:ADDRESS_LENGTH]}.json"

    def _said(self) -> dict[str, Any]:
        skipped = ("why", "started", "before_record")
        fields = [one.name for one in dataclasses.fields(self) if one.name not in skipped]
        value = {"format": JOB_FORMAT, **{name: getattr(self, name) for name in fields}}
        return {**value, "components": list(self.components)}

    def params_as(self, kind: type[Parameters], part: bool = False) -> Parameters:
        """The parameters as the dataclass that a step declares, or a `part` of them.

        Raises `InputError` as `from_json`.
        """
        return from_json(kind, self.params, self._where(), part)

    def section_as(self, kind: type[Parameters], section: str) -> Parameters:
        """What a dataclass takes of a section of the parameters.

        Raises `InputError` as `from_json`, and for values that do not go together.
        """
        where = f"{self._where()}.{section}"
        if section not in self.params:
            raise InputError(f"{where} is missing")
        try:
            return from_json(kind, self.params[section], where, part=True)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None

    def _where(self) -> str:
        return f"job {self.step} {self.name}: params"

    def input(self, name: str) -> str:
        """Path of the single input `name`; raises `InputError` where the job has none."""
        paths = self._input(name)
        if not isinstance(paths, str):
            raise InputError(f"job {self.step} {self.name}: input {name} is a list, not one file")
        return paths

    def input_list(self, name: str) -> list[str]:
        """Paths of the input `name`, which may be a single one, or none."""
        paths = self.inputs.get(name, [])
        return [paths] if isinstance(paths, str) else paths

    def _input(self, name: str) -> Paths:
        if name not in self.inputs:
            raise InputError(f"job {self.step} {self.name}: has no input {name}")
        return self.inputs[name]

    def write_sidecar(
        self, content: str, packages: tuple[str, ...] = (), summary: str = "", **facts: Any
    ) -> None:
        """Write the sidecar, which ends the job: all other outputs must exist by now.

        `content` identifies what the result says (no times, no host); `packages` are the installed
        distributions whose versions matter to the result; `summary` says in a few words what was found;
        `facts` are the step's own entries. Raises what `before_record` does.
        """
        self.before_record()
        job = JobRecord(
            step=self.step,
            name=self.name,
            scale=self.scale,
            digest=self.digest,
            params=self.params,
            code=self.code,
            why=self.why,
        )
        sidecar = Sidecar.of(job, content, self.inputs, self.lineages, self.outputs, packages, self.started)
        sidecar = dataclasses.replace(sidecar, summary=summary or None, facts=facts)
        sidecar.write(self.outputs["sidecar"])
