import json
import os
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline_src.errors import InputError
from pipeline_src.provenance.job import Job
from pipeline_src.steps import train as train_step
from pipeline_src.training import training_job
from pipeline_src.training.initial_model import initial_model
from pipeline_src.training.seeding import derive
from pipeline_src.training.stopping import SaveInterval
from pipeline_src.training.train_params import TrainRun
from pipeline_src.training.training_job import Parts
from pipeline_src.training.weight_files import digest_of_weights
from tests.jobs import change_job
from tests.training.toy_training import ToyModel, run_ranks, sidecar, toy_parts, train, write_job

OUTPUTS = ("model.safetensors", "log.csv", "curve.csv")


def outputs(folder):
    return {name: (folder / "results" / name).read_bytes() for name in OUTPUTS}


def untrainable():
    """Parts with which a step would fail: whoever succeeds did not train."""

    def refuse(first, batches):
        raise AssertionError("a finished job was trained again")
        yield

    return toy_parts(refuse)


def state_folder(folder):
    return folder / "work/demo/checkpoints/toy/seed-3" / ("d" * 12)


def test_the_sidecar_says_what_was_trained_and_on_what(tmp_path):
    job = write_job(tmp_path, epochs=3, freeze_bn_at_epoch=2)
    train(job)
    record = sidecar(job)
    weights = load_file(tmp_path / "results/model.safetensors")
    assert record["content"] == digest_of_weights(weights) == record["weights"]["content"]
    assert record["training"]["steps"] == 6
    assert record["training"]["steps_per_epoch"] == 2
    assert record["training"]["samples"] == 11
    assert record["training"]["bn_frozen_from_step"] == 4
    assert record["training"]["resumed_from"] == []
    assert record["seeds"] == {"run": 3, "initialisation": derive(3, "init")}
    assert record["settings"]["threads"] == 1
    assert record["settings"]["deterministic_algorithms"] is True
    assert record["world_size"] == 1
    assert record["device"].startswith("cpu")
    assert record["peak_memory_bytes"] > 2**20
    assert set(record["outputs"]) == {"model", "log", "curve"}


def test_the_step_hands_on_what_the_machine_grants(tmp_path, monkeypatch):
    granted = []
    monkeypatch.setattr(train_step, "load", lambda kind: kind)
    monkeypatch.setattr(train_step, "train_job", lambda job, parts, options: granted.append((parts, options)))
    job = replace(Job.load(write_job(tmp_path)), params={"model": {"task": "detection"}})
    often = SaveInterval(steps=3)
    train_step.train(job, "cpu", 2, Path("elsewhere"), often)
    train_step.train(job)
    (parts, first), (_, second) = granted
    assert parts == "training.detection"
    assert (first.device, first.workers, first.work, first.interval) == ("cpu", 2, Path("elsewhere"), often)
    assert (second.device, second.workers, second.work) == ("auto", None, Path("work"))
    assert (second.interval.seconds, second.interval.steps) == (600, None)


def test_the_result_shares_its_bytes_on_disk_with_the_kept_weights(tmp_path):
    train(write_job(tmp_path))
    kept = state_folder(tmp_path) / "model.safetensors"
    assert kept.samefile(tmp_path / "results/model.safetensors")
    assert not list(state_folder(tmp_path).glob("step-*"))


def test_where_links_fail_the_weights_are_copied(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    train(write_job(tmp_path))
    kept = state_folder(tmp_path) / "model.safetensors"
    result = tmp_path / "results/model.safetensors"
    assert not kept.samefile(result)
    assert kept.read_bytes() == result.read_bytes()


@pytest.mark.parametrize("lost", [["results"], ["results/model.safetensors", "results/train.json"], []])
def test_a_finished_job_writes_its_outputs_again_without_training(tmp_path, lost):
    job = write_job(tmp_path, validate_every={"epochs": 1})
    train(job)
    before, said = outputs(tmp_path), sidecar(job)
    for name in lost:
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    train(job, untrainable())
    assert outputs(tmp_path) == before
    for key in ("content", "weights", "training", "seeds", "settings"):
        assert sidecar(job)[key] == said[key]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted([*OUTPUTS, "train.json"])


@pytest.mark.parametrize("strict", [True, False])
def test_what_other_libraries_made_is_gone_on_with_unless_the_environment_is_strict(
    tmp_path, monkeypatch, strict
):
    job = change_job(write_job(tmp_path), lambda one: one.params.update(strict_environment=strict))
    train(job)
    (session,) = sidecar(job)["training"]["sessions"]
    assert session["libraries"]["torch"] == metadata.version("torch")
    shutil.rmtree(tmp_path / "results")
    train(job, untrainable())
    shutil.rmtree(tmp_path / "results")
    monkeypatch.setattr(training_job, "_libraries", lambda: {"torch": "1.0"})
    if not strict:
        train(job, untrainable())
        return
    with pytest.raises(AssertionError, match="trained again"):
        train(job, untrainable())


def test_a_finished_job_is_finished_for_every_rank(tmp_path):
    job = write_job(tmp_path)
    train(job)
    before = outputs(tmp_path)
    shutil.rmtree(tmp_path / "results")
    run_ranks(finish_again, 2, job)
    assert outputs(tmp_path) == before


def finish_again(job):
    train(job, untrainable())


@pytest.mark.parametrize("name", OUTPUTS)
def test_kept_files_that_were_changed_are_not_trusted(tmp_path, name):
    job = write_job(tmp_path, validate_every={"epochs": 1})
    train(job)
    before = outputs(tmp_path)
    with open(state_folder(tmp_path) / name, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(AssertionError, match="trained again"):
        train(job, untrainable())
    train(job)
    assert outputs(tmp_path) == before


def test_other_data_under_the_same_job_starts_anew(tmp_path, caplog):
    job = write_job(tmp_path)
    train(job)
    (tmp_path / "manifest.json").write_text(json.dumps({"content": "data-2"}))
    with pytest.raises(AssertionError, match="trained again"):
        train(job, untrainable())
    assert "made from another manifest" in caplog.text


def test_the_state_of_another_job_is_refused(tmp_path):
    job = write_job(tmp_path)
    train(job)
    foreign = state_folder(tmp_path).with_name("e" * 12)
    state_folder(tmp_path).rename(foreign)
    with pytest.raises(InputError, match="belongs to job dddddddddddd, not to eeeeeeeeeeee"):
        train(write_job(tmp_path, digest="e" * 64))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(write_job(tmp_path / name, seed=seed))
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    assert outputs(tmp_path / "a")["model.safetensors"] != outputs(tmp_path / "c")["model.safetensors"]


@pytest.mark.parametrize("through_sidecar", [True, False])
def test_init_from_starts_from_another_runs_weights_and_lists_what_did_not_match(tmp_path, through_sidecar):
    first = write_job(tmp_path / "first")
    train(first)
    weights = load_file(tmp_path / "first/results/model.safetensors")
    given = tmp_path / "first/results/train.json"
    if not through_sidecar:
        given = tmp_path / "given.safetensors"
        save_file({**weights, "head.weight": torch.zeros(9, 6, 1, 1)}, given)

    seen = {}
    parts = toy_parts()

    def watch(first_step, batches):
        seen.update({name: value.clone() for name, value in model.state_dict().items()})
        return batches

    model = ToyModel()
    parts = Parts(lambda section, weights: model, toy_parts(watch).open_data)
    second = write_job(tmp_path / "second", inputs={"init_from": str(given)})
    train(second, parts)
    said = sidecar(second)["weights"]["init_from"]
    assert torch.equal(seen["conv.weight"], weights["conv.weight"])
    assert torch.equal(seen["head.weight"], weights["head.weight"]) == through_sidecar
    assert said["other_shape"] == ([] if through_sidecar else ["head.weight"])
    assert said["loaded"] == (8 if through_sidecar else 7)


def test_backbone_weights_are_passed_on_from_their_record(tmp_path):
    record = tmp_path / "weights.json"
    record.write_text(json.dumps({"path": "somewhere.safetensors", "content": "w", "source": "somebody"}))
    asked = []

    def build(section, weights):
        asked.append((section, weights))
        return ToyModel()

    job = write_job(tmp_path, inputs={"weights": str(record)})
    train(job, Parts(build, toy_parts().open_data))
    ((section, weights),) = asked
    assert weights == "somewhere.safetensors" == sidecar(job)["weights"]["backbone_file"]
    assert sidecar(job)["weights"]["backbone_source"] == "somebody"
    assert section == json.loads(job.read_text())["params"]["model"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"source": "a paper's page", "origin": "user's file"}, "a paper's page"),
        ({"source": None, "origin": "https://example.org/w"}, "https://example.org/w"),
        ({"origin": "DVC"}, "DVC"),
    ],
)
def test_a_source_that_a_user_names_says_more_than_how_the_file_came_here(tmp_path, said, expected):
    record = tmp_path / "weights.json"
    record.write_text(json.dumps({"content": "w", "path": "w.safetensors", **said}))
    job = Job.load(write_job(tmp_path, inputs={"weights": str(record)}))
    _, start = initial_model(job, job.params_as(TrainRun), lambda section, weights: ToyModel())
    assert start["backbone_source"] == expected


def test_a_batch_larger_than_the_data_is_refused_before_a_model_is_built(tmp_path):
    def build(section, weights):
        raise AssertionError("built")

    with pytest.raises(InputError, match=r"recipe\.batch: 12"):
        train(write_job(tmp_path, batch=12), Parts(build, toy_parts().open_data))
    assert not (tmp_path / "results").exists()


def test_results_are_readable_as_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        train(write_job(tmp_path))
    finally:
        os.umask(before)
    modes = {oct(path.stat().st_mode & 0o777) for path in Path(tmp_path / "results").iterdir()}
    assert modes == {"0o644"}
