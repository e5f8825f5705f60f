"""A training that is killed and started again ends with the bits of one that was not."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from tests.crash.killed_training import run_training, start_training
from tests.training.real_training import run_step, write_data, write_real_job
from tests.training.toy_training import ADAMW, PROCESSES, SGD, run_ranks, sidecar, toy_parts, train, write_job

OUTPUTS = ("model.safetensors", "log.csv", "curve.csv")
KILLED = -signal.SIGKILL
INTERRUPTED = 75

RECIPE = {"epochs": 6, "freeze_bn_at_epoch": 4, "validate_every": {"iterations": 5}}
TOTAL = 12


@pytest.fixture(scope="module", params=["sgd", "adamw"])
def recipe_changes(request):
    optimizer = {"sgd": SGD, "adamw": ADAMW}[request.param]
    return {**RECIPE, "optimizer": optimizer, "warmup": {"iterations": 4, "ratio": 0.1}}


@pytest.fixture(scope="module")
def uninterrupted(recipe_changes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run_training(write_job(folder, **recipe_changes), save_steps=100) == 0
    return folder / "results"


def assert_same(folder, expected):
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder / "results", expected))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name
    for name in OUTPUTS:
        assert (folder / "results" / name).read_bytes() == (expected / name).read_bytes(), name


ENGINE, CHECKPOINT = "pipeline_src.training.engine", "pipeline_src.training.checkpoint"
PLACES = {
    "before a step": (f"{ENGINE}.Trainer.train_step", TOTAL),
    "between gradient and update": ("torch.amp.GradScaler.step", TOTAL),
    "before a loss is logged": (f"{ENGINE}.Journal.add_loss", TOTAL),
    "before a validation": (f"{ENGINE}.Trainer.run_validation", 3),
    "before scores are logged": (f"{ENGINE}.Journal.add_scores", 3),
    "within a checkpoint's file": (f"{CHECKPOINT}.torch.save", 5),
    "before a checkpoint has its name": (f"{CHECKPOINT}.os.replace", 5),
    "before old checkpoints go": (f"{CHECKPOINT}.fsync_folder", 5),
    "before the final weights": ("pipeline_src.training.training_job.save_weights", 1),
    "before the record of the end": ("pipeline_src.training.training_job.write_finished", 1),
    "before checkpoints are cleared": (f"{CHECKPOINT}.CheckpointFolder.clear", 1),
    "between two outputs": ("pipeline_src.training.training_job.copy_out", 3),
    "before the sidecar": ("pipeline_src.provenance.job.Job.write_sidecar", 1),
}


@pytest.mark.parametrize("where", PLACES)
def test_killed_anywhere_and_continued_it_ends_with_the_same_bits(
    tmp_path, recipe_changes, uninterrupted, where
):
    place, calls = PLACES[where]
    job = write_job(tmp_path, **recipe_changes)
    count = random.Random(where).randint(1, calls)
    assert run_training(job, (place, count)) == KILLED, count
    assert run_training(job) == 0
    assert_same(tmp_path, uninterrupted)


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_it_still_ends_with_the_same_bits(
    tmp_path, recipe_changes, uninterrupted, seed
):
    draw = random.Random(seed)
    job = write_job(tmp_path, **recipe_changes)
    kills = 0
    while kills < 5:
        # saving after every step makes sure that every life gets further
        place, _ = PLACES[draw.choice(list(PLACES)[:8])]
        status = run_training(job, (place, draw.randint(2, 4)), save_steps=1)
        if status == 0:
            break
        assert status == KILLED
        kills += 1
    assert kills > 0
    assert run_training(job) == 0
    assert_same(tmp_path, uninterrupted)
    resumed = sidecar(job)["training"]["resumed_from"]
    assert resumed == sorted(resumed)


def test_loader_workers_and_a_kill_at_any_moment_change_nothing(tmp_path, recipe_changes, uninterrupted):
    job = write_job(tmp_path, **recipe_changes)
    for attempt in range(3):
        process = start_training(job, save_steps=1, workers=2, slow=0.05)
        wait_for_steps(tmp_path, 3 * attempt + 1, process)
        time.sleep(random.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == KILLED
    assert run_training(job, workers=2) == 0
    assert_same(tmp_path, uninterrupted)


# --- asked to stop -----------------------------------------------------------------------------


def checkpoints(folder):
    return sorted(folder.glob("work/demo/checkpoints/**/step-*.pt"))


def wait_for_steps(folder, steps, process):
    wait_for_rows(folder / "work/demo/checkpoints/toy/seed-3" / ("d" * 12) / "log.csv", steps, process)


def wait_for_rows(log, rows, process):
    while not log.exists() or len(log.read_text().splitlines()) < 1 + rows:
        assert process.is_alive()
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_to_all_processes_finishes_the_step_saves_and_asks_to_be_retried(
    tmp_path, recipe_changes, uninterrupted, name, workers
):
    job = write_job(tmp_path, **recipe_changes)
    stderr = tmp_path / "stderr"
    process = start_training(job, save_steps=100, workers=workers, slow=0.1, said=stderr)
    wait_for_steps(tmp_path, 2, process)
    os.killpg(process.pid, signal.Signals[name])  # as a scheduler does: loader workers too
    process.join()
    said = stderr.read_text()
    assert process.exitcode == INTERRUPTED, said
    assert f"{name} asked to stop" in said
    assert "Traceback" not in said
    (path,) = checkpoints(tmp_path)
    step = int(path.name.split("-")[1])
    assert 2 <= step < TOTAL
    assert f"step {step} of 12 is saved" in said
    assert run_training(job) == 0
    assert_same(tmp_path, uninterrupted)
    assert sidecar(job)["training"]["resumed_from"] == [step]


def train_and_stop_second_rank(job):
    def stop_at_step_five(first, batches):
        for step, batch in enumerate(batches, first):
            if step == 5 and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    try:
        train(job, toy_parts(stop_at_step_five), save_steps=100)
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def test_a_signal_to_one_rank_stops_all_ranks_at_one_step_and_they_continue(tmp_path):
    changes = {"epochs": 10, "validate_every": {"epochs": 1}}
    job = write_job(tmp_path / "stopped", **changes)
    (first, first_said), (second, second_said) = run_ranks(train_and_stop_second_rank, 2, job)
    assert (first, second) == ("Interrupted", "Interrupted")
    assert "another rank asked to stop" in first_said
    assert "SIGTERM asked to stop" in second_said
    (path,) = checkpoints(tmp_path / "stopped")
    assert int(path.name.split("-")[1]) == 6
    run_ranks(train, 2, job)
    assert sidecar(job)["training"]["resumed_from"] == [6]

    whole = write_job(tmp_path / "whole", **changes)
    run_ranks(train, 2, whole)
    assert_same(tmp_path / "stopped", tmp_path / "whole/results")


# --- damaged state -----------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["newest checkpoint", "both checkpoints", "log"])
def test_damaged_state_costs_steps_and_not_the_result(tmp_path, recipe_changes, uninterrupted, damage):
    job = write_job(tmp_path, **recipe_changes)
    assert run_training(job, (f"{ENGINE}.Trainer.train_step", 10), save_steps=3) == KILLED
    older, newer = checkpoints(tmp_path)
    if damage == "log":
        (newer.parent / "log.csv").write_text("step")
    else:
        for path in [newer] if damage == "newest checkpoint" else [older, newer]:
            path.write_bytes(path.read_bytes()[:-100])
    assert run_training(job) == 0
    assert_same(tmp_path, uninterrupted)
    expected = [6] if damage == "newest checkpoint" else []
    assert sidecar(job)["training"]["resumed_from"] == expected


# --- the step itself ---------------------------------------------------------------------------


def run_real_step(job, *options):
    os.setpgrp()
    multiprocessing.set_start_method("fork", force=True)
    run_step(job, *options)


def start_real_step(job, *options):
    process = PROCESSES.Process(target=run_real_step, args=(job, *options))
    process.start()
    return process


def test_the_step_with_real_model_and_data_survives_kill_and_signal_with_the_same_bits(tmp_path):
    manifest = write_data(tmp_path / "data")
    changes = {"epochs": 5, "freeze_bn_at_epoch": 3, "optimizer": ADAMW}
    whole = start_real_step(write_real_job(tmp_path / "whole", manifest, **changes))
    whole.join()
    assert whole.exitcode == 0

    job = write_real_job(tmp_path / "broken", manifest, **changes)
    log = tmp_path / "broken/work/demo/checkpoints/dfp/depth-2/seed-0" / ("a" * 12) / "log.csv"
    for number, rows, status in ((signal.SIGKILL, 3, KILLED), (signal.SIGTERM, 8, INTERRUPTED)):
        process = start_real_step(job, "--workers", "2", "--checkpoint-steps", "2")
        wait_for_rows(log, rows, process)
        os.killpg(process.pid, number)
        process.join()
        assert process.exitcode == status
    last = start_real_step(job)
    last.join()
    assert last.exitcode == 0
    assert_same(tmp_path / "broken", tmp_path / "whole/results")
    assert len(sidecar(job)["training"]["resumed_from"]) == 2
