"""Every kind of job where the disk takes no more: one line, and the result that was there stays."""

import resource
import signal
import subprocess

import pytest

STEPS = (
    "scenes", "manifest", "calibrate", "probe", "train", "evaluate", "cost", "simulate", "tabulate", "join",
    "table", "figure", "report",
)  # fmt: skip


def no_file_of_more_than(size: int) -> None:
    """What a full disk is to a process, without one: writing beyond fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [0, 300])
def test_a_job_that_may_write_no_more_says_so_and_replaces_nothing(smoke, step, size):
    job = min(smoke.path(f"work/smoke/jobs/{step}").rglob("*.json"))
    there = {path: path.read_bytes() for path in smoke.path("results/smoke").rglob("*") if path.is_file()}
    done = subprocess.run(
        ["python", "-m", "pipeline_src", "run", str(job)],
        cwd=smoke.root,
        env=smoke.environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: no_file_of_more_than(size),
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 1, done.stderr
    assert lines[-1].startswith("error: ") and "Traceback" not in done.stderr
    assert "`ulimit -f`" in lines[-1] or "TMPDIR" in lines[-1]
    now = {path: path.read_bytes() for path in smoke.path("results/smoke").rglob("*") if path.is_file()}
    assert now == there
