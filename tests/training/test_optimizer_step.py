import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline_src.data.segmentation.dataset import SegmentationDataset
from pipeline_src.data.segmentation.transforms import EvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.segmentation_pass import evaluate_model
from pipeline_src.models.build_segmentor import build_segmentor
from pipeline_src.running.run_job import main
from pipeline_src.training.weight_files import digest_of_weights
from tests.jobs import change_job
from tests.training.real_training import CLASSES, MODEL, command, write_data, write_real_job
from tests.training.toy_training import run_ranks


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def trained(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    main(command(write_real_job(folder, manifest, epochs=3), "--checkpoint-steps", "4"))
    return folder


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_step_writes_weights_that_score_as_its_last_validation_says(trained, manifest):
    record = json.loads((trained / "results/train.json").read_text())
    weights = load_file(trained / "results/model.safetensors")
    assert record["content"] == digest_of_weights(weights)
    assert record["training"]["steps"] == 9  # 7 images make 3 whole batches of 2, 3 times

    model = build_segmentor(MODEL, None)
    model.load_state_dict(weights)
    norm = MODEL["backbone"]
    val = SegmentationDataset(manifest, "val", EvalTransform.of(norm["mean"], norm["std"]))
    scores = evaluate_model(model, val, CLASSES, "cpu")
    curve = rows(trained / "results/curve.csv")
    last = {row["metric"]: float(row["value"]) for row in curve if row["step"] == "9"}
    assert last["miou"] == scores["miou"]
    assert last["pixel_accuracy"] == scores["pixel_accuracy"]
    assert {row["step"] for row in curve} == {"3", "6", "9"}


def test_the_step_learns(manifest, tmp_path):
    augment = {"resize": None, "crop": [64, 64], "flip": 0.0}
    main(command(write_real_job(tmp_path, manifest, epochs=25, augment=augment, validate_every=None)))
    losses = [float(row["loss"]) for row in rows(tmp_path / "results/log.csv")]
    assert np.mean(losses[-9:]) < 0.8 * np.mean(losses[:9])


UPERNET = {
    **MODEL,
    "pyramid": None,
    "decoder": {"kind": "uper", "channels": 8, "dropout": 0.1},
    "auxiliary": {
        "kind": "fcn",
        "level": 4,
        "num_convs": 1,
        "channels": 6,
        "concat_input": False,
        "dropout": 0.1,
    },
}


def test_an_auxiliary_head_trains_with_the_weight_that_the_recipe_gives_it(manifest, tmp_path):
    found = {}
    for weight in (0.0, 0.4, 0.8):
        folder = tmp_path / str(weight)
        folder.mkdir()
        loss = {"reduction": "labelled_pixels", "auxiliary_weight": weight}
        main(command(write_real_job(folder, manifest, UPERNET, epochs=1, loss=loss)))
        found[weight] = load_file(folder / "results/model.safetensors"), rows(folder / "results/log.csv")
    # before the first update the three differ in nothing but the weight
    first = {weight: float(log[0]["loss"]) for weight, (_, log) in found.items()}
    assert first[0.8] - first[0.4] == pytest.approx(first[0.4] - first[0.0], rel=1e-3)
    # cross-entropy of small logits of 4 classes
    assert first[0.8] - first[0.0] == pytest.approx(0.8 * np.log(CLASSES), rel=0.1)
    model = build_segmentor(UPERNET, None)
    model.load_state_dict(found[0.4][0])
    assert any(name.startswith("auxiliary.") for name in found[0.4][0])


def test_the_number_of_loader_workers_changes_nothing(trained, manifest, tmp_path):
    main(command(write_real_job(tmp_path, manifest, epochs=3), "--workers", "2"))
    for name in ("model.safetensors", "log.csv", "curve.csv"):
        assert (tmp_path / "results" / name).read_bytes() == (trained / "results" / name).read_bytes()


def test_a_manifest_with_other_classes_is_refused(manifest, tmp_path):
    job = write_real_job(tmp_path, manifest)
    job = change_job(job, lambda job: job.params["data"].update(num_classes=9))
    with pytest.raises(InputError, match="has 4 classes, the job says 9"):
        main(command(job))


@pytest.mark.parametrize(
    "clash",
    [
        ["--checkpoint-minutes", "1", "--checkpoint-steps", "1"],
        ["--device", "tpu"],
        ["--checkpoint-steps", "0"],
    ],
)
def test_options_that_make_no_sense_are_refused(clash, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["job.json", *clash])
    assert stopped.value.code == 2
    assert clash[0] in capsys.readouterr().err


# dropout is drawn per rank, and with two values per channel BN would turn rounding into signs
COMPARABLE = {**MODEL, "decoder": {**MODEL["decoder"], "dropout": 0.0}}
CHANGES = {"batch": 4, "augment": {"resize": None, "crop": [128, 128], "flip": 0.5}}


@pytest.fixture(scope="module")
def alone(manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    main(command(write_real_job(folder, manifest, COMPARABLE, **CHANGES)))
    return load_file(folder / "results/model.safetensors")


def assert_trained_as_one(folder, alone):
    ours = load_file(folder / "results/model.safetensors")
    assert ours.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-4, msg=lambda text, n=name: n + text)
    assert json.loads((folder / "results/train.json").read_text())["world_size"] == 2


def test_two_processes_train_as_one(manifest, tmp_path, alone):
    run_ranks(main, 2, command(write_real_job(tmp_path, manifest, COMPARABLE, **CHANGES)))
    assert_trained_as_one(tmp_path, alone)


@pytest.mark.slow
def test_two_processes_that_torchrun_starts_train_as_one(manifest, tmp_path, alone):
    job = write_real_job(tmp_path, manifest, COMPARABLE, **CHANGES)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "pipeline_src", "run", *command(job)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert_trained_as_one(tmp_path, alone)
