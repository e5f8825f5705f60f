"""The step: what its files say, that it resumes, that ranks agree, and which files trainings refuse."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline_src.calibration.statistics_file import read_statistics, write_statistics
from pipeline_src.errors import InputError, Interrupted
from pipeline_src.files import read_json, write_json
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.provenance.job import Job
from pipeline_src.steps.calibrate import calibrate_job
from pipeline_src.training.seeding import derive
from pipeline_src.training.stopping import StopRequest
from tests.calibration.real_calibration import (
    calibrate,
    calibrate_job_file,
    calibrate_on_a_rank,
    model_section,
    stop_calibrating_on_a_rank,
    train_job_file,
)
from tests.jobs import change_job
from tests.training.real_training import run_step, write_data
from tests.training.toy_training import run_ranks


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, manifest) -> Path:
    return calibrate(tmp_path_factory.mktemp("calibrated"), manifest, model_section())


def test_the_file_says_what_was_measured_and_how(calibrated, manifest):
    found = read_json(calibrated)
    assert (found["batch"], found["batches"], found["images"]) == (
        2,
        3,
        6,
    )  # 7 images: the last one is dropped
    assert (found["batch_norm"], found["dropout"], found["drop_path"]) == ("batch statistics", "off", "off")
    assert found["order"] == [["decoder.concat"]]
    assert found["data"] == read_json(manifest)["content"]
    branches = found["concatenations"]["decoder.concat"]
    assert [branch["branch"] for branch in branches] == ["input", "convs"]
    assert all(branch["count"] > 0 and branch["std"] > 0 for branch in branches)
    sidecar = read_json(calibrated.with_name("calibrate.json"))
    assert sidecar["content"] == found["content"]
    assert calibrated.stat().st_size < 3000


def test_calibrating_again_gives_the_same_bytes(tmp_path, manifest, calibrated):
    assert calibrate(tmp_path, manifest, model_section()).read_bytes() == calibrated.read_bytes()


def test_more_images_than_there_are_are_all_of_them(tmp_path, manifest, calibrated):
    model = model_section()
    model["equalizer"]["images"] = 100
    found, usual = read_json(calibrate(tmp_path, manifest, model)), read_json(calibrated)
    assert (found["batches"], found["images"]) == (3, 6)
    assert found["concatenations"] == usual["concatenations"]


def test_fewer_images_and_fixed_batch_norm(tmp_path, manifest):
    model = model_section()
    model["equalizer"]["images"] = 5
    found = read_json(calibrate(tmp_path, manifest, model, freeze_bn_at_epoch=0))
    assert (found["batches"], found["images"], found["batch_norm"]) == (2, 4, "fixed")


def test_batch_norm_that_is_fixed_later_is_not_fixed_yet(tmp_path, manifest, calibrated):
    """A calibration looks at the first step: BN that learns for an epoch has its batch's statistics there."""
    later = read_json(calibrate(tmp_path / "later", manifest, model_section(), freeze_bn_at_epoch=1))
    fixed = read_json(calibrate(tmp_path / "fixed", manifest, model_section(), freeze_bn_at_epoch=0))
    assert later["batch_norm"] == "batch statistics"
    assert later["concatenations"] == read_json(calibrated)["concatenations"]
    assert later["concatenations"] != fixed["concatenations"]


def stopped_after_one_batch(tmp_path, manifest, monkeypatch):
    """The job file of a calibration that was asked to stop, and has saved one of its three batches."""
    job = calibrate_job_file(tmp_path, manifest, model_section())
    monkeypatch.setattr(StopRequest, "requested", "SIGTERM", raising=False)
    monkeypatch.setattr(StopRequest, "__init__", lambda self: setattr(self, "_previous", {}))
    with pytest.raises(Interrupted, match="batch 1 of 3 is saved"):
        calibrate_job(Job.load(job), "cpu", 0, tmp_path / "work")
    monkeypatch.undo()
    return job


def test_a_stopped_calibration_continues(tmp_path, manifest, calibrated, monkeypatch):
    job = stopped_after_one_batch(tmp_path, manifest, monkeypatch)
    calibrate_job(Job.load(job), "cpu", 0, tmp_path / "work")
    assert (tmp_path / "statistics.json").read_bytes() == calibrated.read_bytes()
    assert not list((tmp_path / "work").rglob("step-*.pt"))


def test_two_ranks_continue_what_one_process_began(tmp_path, manifest, calibrated, monkeypatch):
    job = stopped_after_one_batch(tmp_path, manifest, monkeypatch)
    run_ranks(calibrate_on_a_rank, 2, str(job), str(tmp_path / "work"))
    whole, parts = (read_json(path)["concatenations"] for path in (calibrated, tmp_path / "statistics.json"))
    for one, other in zip(whole["decoder.concat"], parts["decoder.concat"], strict=True):
        assert one["count"] == other["count"]
        assert (one["mean"], one["std"]) == pytest.approx((other["mean"], other["std"]), rel=1e-5)


def test_two_ranks_continue_what_two_ranks_began(tmp_path, manifest):
    whole, stopped = (
        calibrate_job_file(tmp_path / name, manifest, model_section()) for name in ("whole", "stopped")
    )
    run_ranks(calibrate_on_a_rank, 2, str(whole), str(tmp_path / "work-of-whole"))
    said = run_ranks(stop_calibrating_on_a_rank, 2, str(stopped), str(tmp_path / "work"))
    assert ["batch 1 of 3 is saved" in one for one in said] == [True, True]
    run_ranks(calibrate_on_a_rank, 2, str(stopped), str(tmp_path / "work"))
    statistics = [tmp_path / name / "statistics.json" for name in ("whole", "stopped")]
    assert statistics[0].read_bytes() == statistics[1].read_bytes()


def test_two_ranks_measure_what_one_process_measures(tmp_path, manifest):
    one = read_json(calibrate(tmp_path / "one", manifest, model_section(), batch=6))
    job = calibrate_job_file(tmp_path / "two", manifest, model_section(), batch=6)
    run_ranks(calibrate_on_a_rank, 2, str(job), str(tmp_path / "work"))
    two = read_json(tmp_path / "two" / "statistics.json")
    assert (one["initialisation"], one["images"]) == (two["initialisation"], two["images"])
    for ours, theirs in zip(one["concatenations"]["decoder.concat"], two["concatenations"]["decoder.concat"]):
        assert ours["count"] == theirs["count"]
        assert ours["mean"] == pytest.approx(theirs["mean"], rel=1e-5)
        assert ours["std"] == pytest.approx(theirs["std"], rel=1e-5)


@pytest.mark.parametrize(("batch", "accumulate"), [(1, 1), (4, 4)])
def test_a_batch_of_one_image_is_refused_by_name(tmp_path, manifest, batch, accumulate):
    with pytest.raises(
        InputError, match=rf"recipe\.batch: {batch} in {accumulate} micro-batches leaves one image"
    ):
        calibrate(tmp_path, manifest, model_section(), batch=batch, accumulate=accumulate)


def test_too_few_images_are_refused(tmp_path, manifest):
    with pytest.raises(
        InputError, match=r"recipe\.batch: a batch of 9 is more than the 7 images to calibrate on"
    ):
        calibrate(tmp_path, manifest, model_section(), batch=9)


# --- trainings that start from a calibration --------------------------------------------------------


@pytest.mark.parametrize("form", ["folded", "module"])
def test_a_training_starts_from_the_plain_weights_equalised(tmp_path, manifest, form):
    statistics = calibrate(tmp_path / "calibration", manifest, model_section(form))
    job = train_job_file(tmp_path / "train", manifest, model_section(form), statistics)
    with pytest.raises(SystemExit) as end:
        run_step(job)
    assert end.value.code == 0
    sidecar = read_json(tmp_path / "train" / "results" / "train.json")
    assert sidecar["weights"]["equalizer"]["form"] == form
    assert sidecar["weights"]["equalizer"]["content"] == read_json(statistics)["content"]
    weights = load_file(sidecar["outputs"]["model"]["path"])
    assert any(".equalizers." in name for name in weights) == (form == "module")
    # what evaluates it rebuilds the structure and finds the scales in the weights
    torch.manual_seed(derive(0, "init"))
    network = build_segmentor(model_section(form))
    network.load_state_dict(weights)


def test_without_and_with_share_everything_but_the_folded_group(tmp_path, manifest):
    statistics = calibrate(tmp_path / "calibration", manifest, model_section())
    found = {}
    for name, form, file in (("without", None, None), ("with", "folded", statistics)):
        job = train_job_file(tmp_path / name, manifest, model_section(form), file)
        sgd = {"kind": "sgd", "lr": 1e-30, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
        job = change_job(job, lambda job, sgd=sgd: job.params["recipe"].update(optimizer=sgd))
        with pytest.raises(SystemExit):
            run_step(job)
        found[name] = load_file(tmp_path / name / "results" / "model.safetensors")
    changed = [
        name
        for name, tensor in found["with"].items()
        if "running" not in name and not torch.allclose(tensor, found["without"][name], rtol=0, atol=1e-20)
    ]
    assert changed == ["decoder.conv_cat.0.weight"]
    records = read_json(statistics)["concatenations"]["decoder.concat"]
    ratio = (found["without"][changed[0]] / found["with"][changed[0]]).mean(dim=(0, 2, 3))
    start = 0
    for record in records:
        part = ratio[start : start + record["channels"]]
        assert torch.allclose(part, torch.full_like(part, record["std"]), rtol=1e-4)
        start += record["channels"]


def refusal(tmp_path, manifest, model, statistics, capsys, seed=0) -> str:
    with pytest.raises(SystemExit) as end:
        run_step(train_job_file(tmp_path, manifest, model, statistics, seed))
    assert end.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    return lines[0]


def test_statistics_of_another_initialisation_are_refused(tmp_path, manifest, calibrated, capsys):
    line = refusal(tmp_path, manifest, model_section(), calibrated, capsys, seed=1)
    assert "was calibrated for another initialisation" in line and str(calibrated) in line


def test_statistics_of_another_model_are_refused(tmp_path, manifest, calibrated, capsys):
    line = refusal(tmp_path, manifest, model_section(dropout=0.2), calibrated, capsys)
    assert "was calibrated for another model" in line


def test_statistics_of_another_form_are_refused(tmp_path, manifest, calibrated, capsys):
    assert "another form" in refusal(tmp_path, manifest, model_section("module"), calibrated, capsys)


def test_statistics_of_another_data_set_are_refused(tmp_path, manifest, calibrated, capsys):
    other = tmp_path / "statistics.json"
    write_statistics(other, {**read_json(calibrated), "data": "0" * 64})
    line = refusal(tmp_path / "run", manifest, model_section(), other, capsys)
    assert "was calibrated for another data set (000000000000, not " in line


def test_an_edited_file_is_refused(tmp_path, manifest, calibrated, capsys):
    value = read_json(calibrated)
    value["concatenations"]["decoder.concat"][0]["std"] *= 1.5
    edited = tmp_path / "statistics.json"
    write_json(edited, value)
    line = refusal(tmp_path / "run", manifest, model_section(), edited, capsys)
    assert f"{edited}: is not as it was written; delete it and calibrate again" in line


@pytest.mark.parametrize("std", [0.0, 1e400, -1.0])
def test_a_dead_branch_in_a_file_is_refused(tmp_path, calibrated, std):
    value = read_json(calibrated)
    value["concatenations"]["decoder.concat"][1]["std"] = std
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"statistics\.json: decoder\.concat, branch 'convs': .* std"):
        read_statistics(path)


@pytest.mark.parametrize(
    "text", ["{}", '{"format": 2, "concatenations": {}}', '{"format": 1, "concatenations": {"a": [{}]}}']
)
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "statistics.json"
    path.write_text(text)
    with pytest.raises(InputError, match="calibrate again"):
        read_statistics(path)
