"""What the files of a job say: its sidecar what it found, its log what went wrong."""

import json
from pathlib import Path

ERROR_LINES = 20
"""The last lines of a failed job's log that are shown."""


def summary_of(sidecar: Path) -> str | None:
    """What a job found, in a few words: the entry `summary` of its sidecar, if there is one."""
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def last_lines(log: Path) -> list[str]:
    """The end of a log file."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-ERROR_LINES:]
    except OSError:
        return []
