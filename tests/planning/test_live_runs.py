"""Snakemake's lock goes with the run that was killed, and stays with one that works."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOLD = "from pipeline_src.planning.live_runs import report_alive; print(report_alive(), flush=True); input()"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path):
    """Starts a process that says it is a run; returns it and what it was told."""
    started = []

    def start_one() -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def lock(folder: Path) -> Path:
    """A lock as Snakemake leaves it."""
    path = folder / ".snakemake" / "locks" / "0.output.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("results/a\n")
    return path


def end(process: subprocess.Popen, how: signal.Signals | None = None) -> None:
    if how:
        process.send_signal(how)
    process.communicate("\n")


def test_the_lock_of_a_killed_run_is_taken_away_and_said(tmp_path, start):
    killed, _ = start()
    path = lock(tmp_path)
    end(killed, signal.SIGKILL)
    _, said = start()
    assert not path.exists()
    assert f"process {killed.pid}" in said
    assert len(list((tmp_path / "work" / "alive").glob("*.*"))) == 1  # of the run that works


def test_the_lock_of_a_run_that_works_stays(tmp_path, start):
    start()
    killed, _ = start()
    path = lock(tmp_path)
    end(killed, signal.SIGKILL)
    _, said = start()
    assert path.exists() and said == "None"


def test_a_lock_of_which_nothing_is_known_stays(tmp_path, start):
    path = lock(tmp_path)
    ended, said = start()
    end(ended)  # by itself: it would have taken its own lock along
    assert said == "None"
    _, said = start()
    assert path.exists() and said == "None"


def test_a_run_on_another_machine_may_be_alive(tmp_path, start):
    killed, _ = start()
    path = lock(tmp_path)
    end(killed, signal.SIGKILL)
    (tmp_path / "work" / "alive" / "another.example.12").touch()
    _, said = start()
    assert path.exists() and said == "None"
