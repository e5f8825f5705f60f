"""A killed Snakemake leaves its lock; the next start goes on by itself."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.graph.checkout import Checkout


def start(checkout: Checkout, *targets: str) -> subprocess.Popen:
    program = Path(sys.executable).with_name("snakemake")
    return subprocess.Popen(
        [str(program), "--cores", "1", *targets],
        cwd=checkout.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_lock(checkout: Checkout, process: subprocess.Popen) -> None:
    until = time.monotonic() + 60
    while not list((checkout.root / ".snakemake").glob("locks/*.lock")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def checkout(tmp_path):
    return Checkout.copy_to(tmp_path / "checkout", "[dfp]")


def test_after_a_kill_the_next_start_goes_on_by_itself(checkout):
    killed = start(checkout, "data")
    wait_for_lock(checkout, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = checkout.run("snakemake", "--cores", "1", "data")
    assert f"an earlier run was killed (process {killed.pid})" in done.stderr
    again = checkout.run("snakemake", "--cores", "1", "data")
    assert "was killed" not in again.stderr and "Nothing to be done" in again.stderr


def test_beside_a_run_that_works_the_lock_holds(checkout):
    working = start(checkout)
    try:
        wait_for_lock(checkout, working)
        refused = checkout.run("snakemake", "--cores", "1", status=1)
        assert "Directory cannot be locked" in refused.stdout + refused.stderr
    finally:
        working.send_signal(signal.SIGTERM)
        working.wait(60)
