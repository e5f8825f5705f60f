"""The sidecar of a job: a JSON file that says how a result came to be. It is written last."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pipeline_src.errors import InputError
from pipeline_src.files import content_of, digest_file, digest_folder, files_below, read_json, write_json
from pipeline_src.provenance.environment import describe_environment
from pipeline_src.provenance.git import describe_commit

Item = TypeVar("Item")


@dataclass(frozen=True)
class JobRecord:
    """What the job was, and why it ran."""

    step: str
    name: str
    scale: str
    digest: str
    params: dict[str, Any]
    code: dict[str, Any]
    why: str | None = None


@dataclass(frozen=True)
class InputRecord:
    """An input as it was read: its content, and the identity of what made it (None: no job of the plan)."""

    path: str
    content: str
    lineage: str | None = None


@dataclass(frozen=True)
class FileRecord:
    """A result file, or a folder of files."""

    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str | Path) -> "FileRecord":
        """Describe a file that is there, or a folder by all files below it."""
        if Path(path).is_dir():
            return cls(str(path), size_of(path), digest_folder(path))
        return cls(str(path), size_of(path), digest_file(path))


@dataclass(frozen=True)
class Sidecar:
    """How a result came to be.

    `content` identifies what it says, without times and machine. `facts` are the step's own entries, which
    stand beside the others in the file. `summary` says in a few words what was found.
    """

    content: str
    job: JobRecord
    inputs: dict[str, InputRecord | list[InputRecord]] = field(default_factory=dict)
    outputs: dict[str, FileRecord] = field(default_factory=dict)
    summary: str | None = None
    git: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        job: JobRecord,
        content: str,
        inputs: Mapping[str, str | list[str]],
        lineages: Mapping[str, Any],
        outputs: Mapping[str, str],
        packages: tuple[str, ...],
        started: float,
    ) -> "Sidecar":
        """The sidecar of a job that ends now."""
        finished = time.time()
        return cls(
            content=content,
            job=job,
            inputs={name: _input_records(paths, lineages.get(name)) for name, paths in inputs.items()},
            outputs={
                name: FileRecord.of(path)
                for name, path in outputs.items()
                if name != "sidecar" and Path(path).exists()
            },
            git=describe_commit(),
            environment=describe_environment(packages),
            timing={
                "started": _timestamp(started),
                "finished": _timestamp(finished),
                "seconds": round(finished - started, 3),
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> "Sidecar":
        """Read a sidecar; raises `InputError` for a file that is missing, damaged, or none."""
        value = read_json(path)
        try:
            known = {one.name: value.pop(one.name) for one in fields(cls) if one.name in value}
            job = known.pop("job")
            own = {one.name: job.get(one.name) for one in fields(JobRecord)}
            inputs = {name: _read_inputs(entry) for name, entry in known.pop("inputs", {}).items()}
            outputs = {name: FileRecord(**entry) for name, entry in known.pop("outputs", {}).items()}
            return cls(**known, job=JobRecord(**own), inputs=inputs, outputs=outputs, facts=value)
        except (KeyError, TypeError, AttributeError):
            raise InputError(f"{path}: not the record of a job") from None

    def write(self, path: str | Path) -> None:
        """Write the file, the step's own entries beside the others."""
        value = asdict(self)
        facts = value.pop("facts")
        first = {name: value.pop(name) for name in ("content", "summary", "job")}
        write_json(path, {**first, **facts, **value})


def size_of(path: str | Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if Path(path).is_dir():
        return sum(one.stat().st_size for one in files_below(path))
    return os.path.getsize(path)


def as_list(value: Item | list[Item]) -> list[Item]:
    """One thing, or several, as a list."""
    return value if isinstance(value, list) else [value]


def _input_records(paths: str | list[str], lineages: Any) -> InputRecord | list[InputRecord]:
    if isinstance(paths, str):
        return InputRecord(paths, content_of(paths), lineages)
    pairs = zip(paths, lineages or [None] * len(paths), strict=True)
    return [InputRecord(path, content_of(path), lineage) for path, lineage in pairs]


def _read_inputs(entry: Any) -> InputRecord | list[InputRecord]:
    return [InputRecord(**one) for one in entry] if isinstance(entry, list) else InputRecord(**entry)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
