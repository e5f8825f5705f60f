"""Removes what a killed process left beside a job's outputs: files and folders that were being written."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

_FILE = r"\.{name}\.[a-z0-9_]{{8}}{suffix}"
_FOLDER = r"\.{name}\.(new|old)-[0-9]+"
"""How `files.atomic_path` and `files.atomic_folder` call what they write first."""


def remove_leftovers(outputs: Iterable[str | Path]) -> list[Path]:
    """Remove unfinished versions of `outputs`, which no other process is making; returns what was removed."""
    removed = []
    for output in map(Path, outputs):
        file = _FILE.format(name=re.escape(output.name), suffix=re.escape(output.suffix))
        pattern = re.compile(f"{file}|{_FOLDER.format(name=re.escape(output.name))}")
        if not output.parent.is_dir():
            continue
        for path in output.parent.iterdir():
            if not pattern.fullmatch(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed
