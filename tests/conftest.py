"""What all tests share: where the project is, a clean Python, real data where somebody has some."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project() -> Path:
    """The root of the checkout."""
    return PROJECT


@pytest.fixture
def run_python():
    """Run a snippet in a fresh interpreter at the project's root and return what it prints."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def real_data() -> Path:
    """A folder with small real data sets, named by FUSEBENCH_REAL_DATA; the test is skipped without it."""
    folder = os.environ.get("FUSEBENCH_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FUSEBENCH_REAL_DATA names no folder")
    return Path(folder).resolve()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were forced to the disk, in order; folders are left out."""
    found: list[int] = []
    fsync = os.fsync

    def recorded(handle: int) -> None:
        info = os.fstat(handle)
        if not stat.S_ISDIR(info.st_mode):
            found.append(info.st_size)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    return found
