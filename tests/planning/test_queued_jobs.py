"""Which jobs of SLURM's queue a killed run left, from lines as `squeue` prints them."""

import uuid
from pathlib import Path

import pytest

from pipeline_src.errors import InputError
from pipeline_src.planning.queued_jobs import left_jobs, refuse_left_jobs


def queue(folder: Path, name: str = "") -> str:
    run = name or uuid.uuid4()
    return f"12|RUNNING|{run}|{folder}\n13_2|PENDING|{run}|{folder}\n"


@pytest.mark.parametrize("prefix", ["", "mine_"])
def test_jobs_of_a_killed_run_are_named_and_not_submitted_again(tmp_path: Path, prefix: str) -> None:
    left = left_jobs(queue(tmp_path, f"{prefix}{uuid.uuid4()}"), tmp_path)
    with pytest.raises(
        InputError, match=r"left 2 jobs in the queue \(1 of them running\).*: scancel 12 13_2$"
    ):
        refuse_left_jobs(left)


def test_jobs_of_others_are_left_alone(tmp_path: Path) -> None:
    said = queue(tmp_path / "another checkout") + queue(tmp_path, "my own | batch job")
    assert left_jobs(said, tmp_path) == []
    refuse_left_jobs([])
