"""Configurations planned as the workflow plans them, and what an error names."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.config.load import load_params
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import InputError
from pipeline_src.planning.summary_jobs import plan_everything

HANGS_SECONDS = 20.0
"""More computing than that is a hang: planning all of `params.yaml` takes a fifth."""

_LINE = re.compile(r"(?P<file>.+?\.yaml)(:(?P<line>\d+))?: (?P<text>.+)", re.DOTALL)
_MORE = re.compile(r"\.\.\. and \d+ more")


@dataclass(frozen=True)
class Finding:
    """One line of an error: the file, its line if one is named, the rest, which begins with the key path."""

    file: str
    line: int | None
    text: str

    def is_below(self, key: str) -> bool:
        """Whether this is about a key path or about something below it."""
        return self._begins_with(key, r"(: |\.|\[)")

    def is_about(self, key: str) -> bool:
        """Whether this is about just this key path; an empty one is the file as a whole."""
        return self._begins_with(key, ": ") if key else re.match(r"[\w.]+(\[\d+\])?: ", self.text) is None

    def _begins_with(self, key: str, end: str) -> bool:
        """A key of a scale stands below `scales.<scale>`."""
        return re.match(rf"(scales\.\w+\.)?{re.escape(key)}{end}", self.text) is not None


@dataclass(frozen=True)
class Outcome:
    """What became of a configuration: its findings, none where it was planned; how long it computed."""

    findings: tuple[Finding, ...]
    seconds: float


def plan(base: Path | str, *overlays: Path) -> Outcome:
    """Read, validate and plan, up to the identity of every job.

    Only an `InputError` is caught. Each line of it has to be one: a finding with its file, and not long.
    """
    started = time.process_time()
    message = None
    try:
        planned = plan_everything(load_params(base, [Layer(str(path), read_yaml(path)) for path in overlays]))
        for job in planned.jobs.values():
            planned.as_job(job)
    except InputError as error:
        message = str(error)
    seconds = time.process_time() - started
    return Outcome(() if message is None else tuple(_findings(message)), seconds)


def _findings(message: str) -> list[Finding]:
    found = []
    for line in message.split("\n       "):
        assert len(line.splitlines()) == 1, f"more than one line: {line!r}"
        assert len(line) <= 1200, f"a line of {len(line)} characters: {line[:200]}"
        if _MORE.fullmatch(line):
            continue
        parts = _LINE.fullmatch(line)
        assert parts, f"no file is named: {line!r}"
        found.append(Finding(parts["file"], int(parts["line"]) if parts["line"] else None, parts["text"]))
    return found
