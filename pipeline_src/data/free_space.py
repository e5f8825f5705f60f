"""Room on the disk, asked before a long write begins."""

import shutil
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.progress import size_text

_MARGIN = 64 << 20
"""Bytes that stay free."""


def require_space(folder: Path, needed: int) -> None:
    """Raise `InputError` unless `needed` bytes (and a margin) are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if needed + _MARGIN > free:
        raise InputError(f"{folder}: {size_text(needed)} are needed, only {size_text(free)} are free")
