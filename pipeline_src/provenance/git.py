"""The commit a result was made at, and whether anything that can change a result differed from it."""

import subprocess
from pathlib import Path
from typing import Any

DECIDING = ("*.py", "*.yaml", "*.yml", "*.smk", "*.csv", "*.jinja", "Snakefile")
"""What the dirty flag looks at: code, parameters and workflow, a user's own ideas and overlays included."""

NOT_DECIDING = ("tests", "docs", "benchmarks", "data", "results", "work")
"""Folders that do not count: notes, results, and data, whose content is part of what a job is."""


def describe_commit(folder: str | Path = ".") -> dict[str, Any]:
    """Commit hash and dirty flag of the checkout at `folder`; both None outside a git checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    excluded = [f":(exclude){path}" for path in NOT_DECIDING]
    changes = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *DECIDING, *excluded)
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: str | Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
