"""The commit a result was made at, and whether anything that can change a result differed from it."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from pipeline_src.progress import say

DECIDING = ("*.py", "*.yaml", "*.yml", "*.smk", "*.csv", "*.jinja", "Snakefile")
"""What the dirty flag looks at: code, parameters and workflow, a user's own ideas and overlays included."""

NOT_DECIDING = ("tests", "docs", "benchmarks", "data", "results", "work")
"""Folders that do not count: notes, results, and data, whose content is part of what a job is."""


def describe_commit(folder: str | Path = ".") -> dict[str, Any]:
    """Commit hash and dirty flag of the checkout at `folder`; both None outside a git checkout.

    The flag is None too where git cannot say what changed.

    Where git refuses to answer, since the checkout belongs to somebody else, `refused` has its words, and a
    line says what would help.
    """
    commit, complaint = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        found: dict[str, Any] = {"commit": None, "dirty": None}
        if "dubious ownership" not in complaint:
            return found
        _warn(Path(folder).resolve(), complaint)
        return {**found, "refused": complaint}
    excluded = [f":(exclude){path}" for path in NOT_DECIDING]
    changes, _ = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *DECIDING, *excluded)
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


@cache
def _warn(place: Path, complaint: str) -> None:
    """Say it once: a process may finish many jobs."""
    say(f"no commit is recorded: git says {complaint}; `git config --global --add safe.directory {place}`")


def _git(folder: str | Path, *arguments: str) -> tuple[str | None, str]:
    """What git prints, None where it fails, and the first line of its complaint."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None, ""
    complaint = (done.stderr.strip().splitlines() or [""])[0]
    return (None if done.returncode else done.stdout.strip()), complaint.removeprefix("fatal: ")
