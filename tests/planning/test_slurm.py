"""What SLURM is asked before the first job, with programs of its names that say what a real one said."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline_src.errors import InputError
from pipeline_src.planning import slurm

CONFIGURATION = """\
Configuration data as of 2026-12-01T00:00:00
AccountingStorageType   = accounting_storage/{accounts}
MinJobAge               = {age} sec
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Says what SLURM's programs print; a program without a text fails."""
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    def says(**texts: str | None) -> None:
        for name, text in texts.items():
            program = programs / name
            body = "echo no route >&2; exit 1" if text is None else f"cat <<'END'\n{text}END"
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)

    says(
        scontrol=CONFIGURATION.format(accounts="none", age=300),
        sinfo="gpu:a100:4(S:0-1)\n(null)\n",
        squeue="",
        sacct="",
    )
    return says


def settings(**changes) -> SimpleNamespace:
    return SimpleNamespace(**{"status_command": "sacct", "init_seconds_before_status_checks": 15, **changes})


def test_without_accounts_jobs_are_followed_with_squeue(cluster):
    own = settings()
    assert slurm.prepare(own, False) == ["this SLURM keeps no accounts: jobs are followed with squeue"]
    assert own.status_command == "squeue"


def test_with_accounts_nothing_changes(cluster):
    cluster(scontrol=CONFIGURATION.format(accounts="slurmdbd", age=2))
    own = settings()
    assert slurm.prepare(own, False) == [] and own.status_command == "sacct"


def test_accounts_that_cannot_be_asked_are_none(cluster):
    cluster(scontrol=CONFIGURATION.format(accounts="slurmdbd", age=300), sacct=None)
    own = settings()
    slurm.prepare(own, False)
    assert own.status_command == "squeue"


def test_jobs_that_would_be_forgotten_before_they_are_seen_are_refused(cluster):
    cluster(scontrol=CONFIGURATION.format(accounts="none", age=60))
    with pytest.raises(InputError, match=r"forgets finished jobs after 60 s \(MinJobAge\).*MinJobAge=300"):
        slurm.prepare(settings(), False)


def test_a_slurm_that_does_not_answer_is_refused(cluster):
    cluster(scontrol=None)
    with pytest.raises(InputError, match=r"^SLURM does not answer: scontrol: no route$"):
        slurm.prepare(settings(), False)


def test_gpus_that_no_node_has_are_refused_where_a_job_asks_for_one(cluster):
    slurm.prepare(settings(), True)
    cluster(sinfo="(null)\n(null)\n")
    slurm.prepare(settings(), False)
    with pytest.raises(InputError, match="add `--resources gpu=0`"):
        slurm.prepare(settings(), True)


def test_jobs_of_a_run_that_works_are_its_own(cluster, tmp_path):
    cluster(squeue=f"12|RUNNING|{uuid.uuid4()}|{tmp_path}\n")
    hold = (
        "from pipeline_src.planning.live_runs import report_alive; report_alive(); print(flush=True); input()"
    )
    root = Path(__file__).parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", hold],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        other.stdout.readline()
        slurm.prepare(settings(), False)
    finally:
        other.kill()
        other.communicate()
    with pytest.raises(InputError, match="an earlier run was killed"):
        slurm.prepare(settings(), False)
