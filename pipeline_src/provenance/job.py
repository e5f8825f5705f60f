"""A job as it travels from the planner to a step: one JSON file in, one sidecar out.

The job file holds everything that identifies the work (`params`, `code`), where its inputs are
and where its results go. A step is a plain command on that file and needs neither the
configuration nor the workflow system. The sidecar says how a result came to be.
"""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline_src.errors import InputError
from pipeline_src.files import content_of, digest_file, read_json, write_json
from pipeline_src.provenance.environment import describe_environment
from pipeline_src.provenance.git import describe_commit

JOB_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """One unit of work: what it is (`params`, `code`), what it reads and what it writes."""

    step: str
    name: str
    scale: str
    params: dict[str, Any]
    inputs: dict[str, str | list[str]]
    outputs: dict[str, str]
    code: dict[str, Any]
    digest: str
    why: str | None = None
    origins: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    @classmethod
    def load(cls, path: str | Path, step: str) -> "Job":
        """Read a job file and check that it is for `step`.

        Raises `InputError` when the file is missing, damaged, of another format, or for another step.
        """
        value = read_json(path)
        if not isinstance(value, dict) or value.get("format") != JOB_FORMAT:
            raise InputError(f"{path}: not a job file of format {JOB_FORMAT}")
        if value.get("step") != step:
            raise InputError(f"{path}: is a job for step {value.get('step')!r}, not {step!r}")
        return cls(
            step=step,
            name=value["name"],
            scale=value["scale"],
            params=value["params"],
            inputs=value["inputs"],
            outputs=value["outputs"],
            code=value["code"],
            digest=value["digest"],
            why=value.get("why"),
            origins=value.get("origins", {}),
        )

    def input(self, name: str) -> str:
        """Path of the single input `name`."""
        path = self.inputs[name]
        assert isinstance(path, str), f"input {name} is a list"
        return path

    def write_sidecar(self, content: str, packages: tuple[str, ...] = (), **facts: Any) -> None:
        """Write the sidecar, which ends the job: all other outputs must exist by now.

        `content` identifies what the result says (no times, no host); `packages` are the installed
        distributions whose versions matter to the result; `facts` are the step's own entries.
        """
        finished = time.time()
        results = {
            name: describe_file(path)
            for name, path in self.outputs.items()
            if name != "sidecar" and Path(path).is_file()
        }
        write_json(
            self.outputs["sidecar"],
            {
                "content": content,
                "job": {
                    "step": self.step,
                    "name": self.name,
                    "scale": self.scale,
                    "digest": self.digest,
                    "params": self.params,
                    "code": self.code,
                    "why": self.why,
                },
                **facts,
                "inputs": {name: self._input_records(name) for name in self.inputs},
                "outputs": results,
                "git": describe_commit(),
                "environment": describe_environment(packages),
                "timing": {
                    "started": _timestamp(self.started),
                    "finished": _timestamp(finished),
                    "seconds": round(finished - self.started, 3),
                },
            },
        )

    def _input_records(self, name: str) -> dict[str, Any] | list[dict[str, Any]]:
        """Path, content and origin (the identity of what made it) of an input, or of each of a list."""
        paths, origins = self.inputs[name], self.origins.get(name)
        if isinstance(paths, str):
            return _input_record(paths, origins)
        return [_input_record(*pair) for pair in zip(paths, origins or [None] * len(paths), strict=True)]


def describe_file(path: str | Path) -> dict[str, Any]:
    """Path, size in bytes and SHA-256 of a result file."""
    return {"path": str(path), "bytes": os.path.getsize(path), "sha256": digest_file(path)}


def _input_record(path: str, origin: str | None) -> dict[str, Any]:
    return {"path": path, "content": content_of(path), "origin": origin}


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
