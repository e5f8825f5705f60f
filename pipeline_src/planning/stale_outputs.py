"""Results that are to be made again, such that Snakemake agrees to make them.

Snakemake refuses to replace a file that is write-protected, takes one for done that is younger than all
that it is made from, and fails where it stays older. Others leave files so: `dvc pull` leaves read-only
links into DVC's cache, and a clock that is ahead leaves times to come. Content alone decides what has to
run, so neither may count.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pipeline_src.errors import InputError
from pipeline_src.files import atomic_path

_BEFORE = 1_000_000_000
"""Nanoseconds; some file systems keep whole seconds."""


def let_be_replaced(outputs: Iterable[str], inputs: Iterable[str], younger: str | Path) -> None:
    """Make every one of `outputs` that exists a writable file of its own, and all older than `younger`.

    `inputs` are what the outputs are made from. A linked output is replaced by a copy in one step, so
    whatever else the link leads to keeps its content and its protection. Raises `InputError` where a file
    may not be changed.
    """
    limit = Path(younger).stat().st_mtime_ns
    writable = set(outputs)
    for path in map(Path, writable.union(inputs)):
        try:
            if path.is_symlink() or not path.is_file():
                continue
            if str(path) in writable and not os.access(path, os.W_OK):
                with atomic_path(path) as copy:
                    shutil.copyfile(path, copy)
            if path.stat().st_mtime_ns >= limit:
                os.utime(path, ns=(limit - _BEFORE,) * 2)
        except OSError as error:
            raise InputError(
                f"{path}: results are to be made again, and this file cannot be changed "
                f"({error.strerror or error}); give yourself the right to write it and its folder"
            ) from None
