"""The shipped profile on a real SLURM: what is asked for, what is left alone, disturbed trainings.

The node is this machine and its GPUs are none, so that everything is computed on the CPU; SLURM, its
queue, its signals and its limits are real. It keeps no accounts.
"""

import signal
import subprocess

import pytest

from tests.cluster.conftest import log_of, sessions, submitted, wait_for_steps
from tests.cluster.single_node import wait_for
from tests.graph.checkout import Checkout

pytestmark = pytest.mark.cluster

LONG = "recipes: {dfp: {epochs: 300, freeze_bn_at_epoch: 200, validate_every: {epochs: 100}, log_every: 4}}\n"
SUMMARIES = {"scenes", "tabulate", "join", "table", "figure", "report"}


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    checkout = Checkout.copy_to(tmp_path / "checkout", "[dfp]")
    (checkout.root / "long.yaml").write_text(LONG)
    return checkout


def training(run: str) -> str:
    return f"results/smoke/runs/{run}/train.json"


def running(slurm, checkout, run: str) -> str | None:
    """The id of a run's training that runs now."""
    name = f"smoke_{run.replace('/', '_')}"
    found = [job.id for job in submitted(slurm, checkout) if job.name == name and job.state == "RUNNING"]
    return found[-1] if found else None


def test_a_study_finishes_and_an_edit_submits_only_what_it_changes(slurm, start, checkout):
    said = start(checkout).finish()
    assert "this SLURM keeps no accounts: jobs are followed with squeue" in said
    assert (checkout.root / "results/smoke/report.html").is_file()
    first = submitted(slurm, checkout)
    assert {job.rule for job in first} == {"manifest", "cost", "train", "evaluate"}
    assert all(job.state == "COMPLETED" for job in first)
    by_rule = {job.rule: job for job in first}
    assert by_rule["train"].gpus == by_rule["evaluate"].gpus == "gres:gpu:1"
    assert by_rule["train"].cpus == 1 + 4
    assert [job.shares for job in first if job.rule == "cost"] == [False] * 6
    assert by_rule["train"].shares and by_rule["manifest"].gpus == ""

    assert "29 jobs, 0 to run" in start(checkout).finish()
    assert len(submitted(slurm, checkout)) == len(first)

    checkout.edit(
        "pipeline_src/steps/cost.py",
        "def measure_cost(",
        "def unused():\n    return 1\n\n\ndef measure_cost(",
    )
    start(checkout, "--until", "cost").finish()
    again = submitted(slurm, checkout)[len(first) :]
    assert [job.rule for job in again] == ["cost"] * 6
    # what it took the first time is what is asked for now
    assert int(again[0].memory.removesuffix("M")) < int(by_rule["cost"].memory.removesuffix("M"))


def test_disturbed_trainings_end_with_the_same_bytes(slurm, start, checkout, tmp_path):
    cancelled, timed_out = "dfp/depth-0/seed-0", "dfp/depth-1/seed-0"
    targets = [training(cancelled), training(timed_out)]
    head = start(checkout, "--configfile", "long.yaml", "--", *targets)
    for run in (cancelled, timed_out):
        wait_for_steps(checkout, run, 20, head)
    first, second = (running(slurm, checkout, run) for run in (cancelled, timed_out))
    slurm.call("scancel", first)
    slurm.call("scontrol", "update", f"JobId={second}", "TimeLimit=1")
    states = lambda: {job.id: job.state for job in submitted(slurm, checkout)}  # noqa: E731
    wait_for(lambda: states()[second] == "TIMEOUT", 240, "the walltime to end")
    wait_for(lambda: running(slurm, checkout, cancelled) is not None, 240, "the retry")
    third = running(slurm, checkout, cancelled)
    slurm.call("sbatch", "--partition=urgent", "--exclusive", "--wrap=sleep 2", f"--output={tmp_path}/urgent")
    wait_for(lambda: "Restarts=1" in slurm.call("scontrol", "show", "job", third), 240, "the preemption")
    said = head.finish()
    assert states()[first] == "CANCELLED" and third != first
    lines = said.splitlines()
    failed = lines.index(f"FAILED train {timed_out}: SLURM-job '{second}' failed, SLURM status is: 'TIMEOUT'")
    assert "is saved, start the job again to continue" in lines[failed + 2]
    assert lines[failed + 3].startswith("[")

    undisturbed = Checkout.copy_to(tmp_path / "undisturbed", "[dfp]")
    (undisturbed.root / "long.yaml").write_text(LONG)
    alone = ("--cores", "2", "--configfile", "long.yaml", "--", *targets)
    undisturbed.run("snakemake", *alone, PYTHONPATH="workflow/logger/src")
    for run in (cancelled, timed_out):
        assert sessions(checkout, run) and not sessions(undisturbed, run)
        assert log_of(checkout, run) == log_of(undisturbed, run)


def test_after_a_killed_head_nothing_is_submitted_twice(slurm, start, checkout):
    run = "dfp/depth-0/seed-0"
    asked = ("--configfile", "long.yaml", "--", training(run))
    head = start(checkout, *asked)
    wait_for_steps(checkout, run, 20, head)
    head.process.send_signal(signal.SIGKILL)
    head.process.wait()
    left = running(slurm, checkout, run)
    said = start(checkout, *asked).finish(status=2)
    assert said.strip().splitlines()[-1] == (
        "error: an earlier run was killed and left 1 jobs in the queue (1 of them running): wait until they "
        f"are done, or end them, which a training survives, with: scancel {left}"
    )
    subprocess.run(["scancel", left], check=True)
    wait_for(lambda: not slurm.jobs("PENDING,RUNNING,COMPLETING"), 90, "the job to end")
    start(checkout, *asked).finish()
    assert sessions(checkout, run)
    assert [job.rule for job in submitted(slurm, checkout)] == ["manifest", "train", "train"]


def test_two_processes_train_on_one_node_or_are_refused(slurm, start, checkout):
    run = "dfp/depth-0/seed-0"
    two = ("--set-resources", "train:gpu=2")
    refused = start(checkout, *two, "--", training(run)).finish(status=2)
    assert "\nerror: --set-resources train:gpu=2: run dfp/" in refused
    assert "has a batch of 3, which 2 GPUs cannot share; use 1, or another batch" in refused
    (checkout.root / "even.yaml").write_text("recipes: {dfp: {batch: 4}}\n")
    start(checkout, *two, "--configfile", "even.yaml", "--", training(run)).finish()
    (job,) = (job for job in submitted(slurm, checkout) if job.rule == "train")
    assert (job.gpus, job.cpus, job.memory) == ("gres:gpu:2", 2 * (1 + 4), "16000M")
    assert "NumNodes=1 " in slurm.call("scontrol", "show", "job", job.id)
    path = checkout.root / "results/smoke/runs" / run / "train.json"
    assert '"world_size": 2' in path.read_text()


def test_one_key_runs_all_on_cpus(slurm, start, checkout):
    run = "dfp/depth-0/seed-0"
    start(checkout, "--resources", "gpu=0", "--", training(run)).finish()
    (job,) = (job for job in submitted(slurm, checkout) if job.rule == "train")
    assert (job.gpus, job.cpus) == ("", 1)
