"""What the files of a job say: its sidecar what it found, its log what went wrong."""

import json
from pathlib import Path

ERROR_LINES = 20
"""The last lines of a failed job's log that are shown."""

REASONS = ("error: ", "interrupted: ")
"""What the last line of a job's log begins with where it says all: bad input, or a request to stop."""


def summary_of(sidecar: Path) -> str | None:
    """What a job found, in a few words: the entry `summary` of its sidecar, if there is one."""
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def last_lines(log: Path) -> list[str]:
    """The end of a log file: its last line alone where that says why the job ended."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError:
        return []
    return lines[-1:] if lines and lines[-1].startswith(REASONS) else lines[-ERROR_LINES:]


def first_sentence(text: str) -> str:
    """`text` up to its first full stop, in one line."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
