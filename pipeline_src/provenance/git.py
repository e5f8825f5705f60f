"""The commit a result was made at, and whether anything that can change a result differed from it."""

import subprocess
from pathlib import Path
from typing import Any

IDENTITY_PATHS = ("pipeline_src", "workflow", "Snakefile", "params.yaml", "profiles", "dvc.yaml")
"""What the dirty flag looks at: code, parameters and workflow. Results and notes do not count."""


def describe_commit(folder: str | Path = ".") -> dict[str, Any]:
    """Commit hash and dirty flag of the checkout at `folder`; both None outside a git checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    present = [path for path in IDENTITY_PATHS if (Path(folder) / path).exists()]
    changes = _git(folder, "status", "--porcelain", "--", *present) if present else ""
    return {"commit": commit, "dirty": bool(changes)}


def _git(folder: str | Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
