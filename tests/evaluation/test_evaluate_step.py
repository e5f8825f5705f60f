"""Step `evaluate` on a tiny VOC2012 folder and a real, untrained network."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline_src.errors import InputError
from pipeline_src.evaluation.confusion import Confusion
from pipeline_src.steps.evaluate import evaluate
from tests.evaluation.tiny_run import CLASSES, IDS, MODEL, SIZES, make_job, predicted_by_hand
from tests.jobs import run_job, write_job_file

CPU = torch.device("cpu")
PARAMS = {
    "data": {"num_classes": len(CLASSES), "ignore_index": 255},
    "model": MODEL,
    "evaluation": {"mode": "whole", "split": "val", "overlays": 2},
    "threads": 1,
    "deterministic": True,
}


def evaluation_job(**changes):
    return make_job(
        "evaluate",
        PARAMS | changes,
        {"manifest": "manifest.json", "train": "train.json"},
        {"sidecar": "evaluate.json", "metrics": "metrics.json", "overlays": "overlays"},
    )


def test_metrics_are_those_of_the_trained_weights_on_the_images_as_they_are(run, tmp_path):
    evaluate(evaluation_job(), "cpu")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    expected = Confusion(len(CLASSES))
    voc = tmp_path / "voc" / "VOCdevkit" / "VOC2012"
    for image_id in IDS:
        mask = np.asarray(Image.open(voc / "SegmentationClass" / f"{image_id}.png"))
        expected.add(mask, predicted_by_hand(run, voc / "JPEGImages" / f"{image_id}.jpg"))
    assert metrics["confusion"] == expected.counts.tolist()
    assert metrics["miou"] == expected.scores()["miou"]
    assert list(metrics["per_class"]) == metrics["classes"] == CLASSES
    assert metrics["pixels"] + metrics["ignored_pixels"] == sum(width * height for width, height in SIZES)
    assert (metrics["unit"], metrics["split"], metrics["images"]) == ("fraction", "val", 3)


def test_overlays_show_images_with_their_predictions(run, tmp_path):
    evaluate(evaluation_job(), "cpu")
    index = json.loads((tmp_path / "overlays" / "index.json").read_text())
    assert [entry["id"] for entry in index["images"]] == IDS[:2]
    voc = tmp_path / "voc" / "VOCdevkit" / "VOC2012" / "JPEGImages"
    for entry in index["images"]:
        file = voc / f"{entry['id']}.jpg"
        with Image.open(tmp_path / "overlays" / entry["prediction"]) as prediction:
            assert (np.asarray(prediction) == predicted_by_hand(run, file)).all()
        with Image.open(tmp_path / "overlays" / entry["image"]) as shown, Image.open(file) as original:
            assert (np.asarray(shown) == np.asarray(original)).all()


def test_the_sidecar_names_what_was_evaluated(run, tmp_path):
    evaluate(evaluation_job(), "cpu")
    sidecar = json.loads((tmp_path / "evaluate.json").read_text())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert sidecar["inputs"]["train"]["content"] == "t"
    assert sidecar["scores"]["miou"] == metrics["miou"]
    assert sidecar["overlays"] == {"folder": "overlays", "images": 2}
    assert sidecar["settings"]["threads"] == 1


def test_evaluating_again_says_the_same_and_leaves_no_old_pictures(run, tmp_path):
    evaluate(evaluation_job(), "cpu")
    first = {path.name: path.read_bytes() for path in (tmp_path / "overlays").iterdir()}
    content = json.loads((tmp_path / "evaluate.json").read_text())["content"]
    (tmp_path / "overlays" / "left_over.png").write_bytes(b"")
    evaluate(evaluation_job(), "cpu")
    assert {path.name: path.read_bytes() for path in (tmp_path / "overlays").iterdir()} == first
    assert json.loads((tmp_path / "evaluate.json").read_text())["content"] == content


def test_no_overlays_can_be_asked_for(run, tmp_path):
    evaluate(evaluation_job(evaluation={"mode": "whole", "split": "val", "overlays": 0}), "cpu")
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == ["index.json"]


def test_weights_of_another_training_are_refused(run, tmp_path):
    with open(tmp_path / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"model\.safetensors: is not the file that train\.json describes"):
        evaluate(evaluation_job(), "cpu")


def test_missing_weights_are_named(run, tmp_path):
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: no such file"):
        evaluate(evaluation_job(), "cpu")


def test_weights_of_another_architecture_are_refused_in_one_line(run):
    backbone = MODEL["backbone"] | {"args": {"layers": [1, 1, 1, 2], "channels": [8, 8, 8, 8]}}
    with pytest.raises(InputError, match="does not fit the model of the job") as caught:
        evaluate(evaluation_job(model=MODEL | {"backbone": backbone}), "cpu")
    assert "\n" not in str(caught.value)


def test_an_unknown_mode_names_the_known_ones(run):
    with pytest.raises(InputError, match=r"evaluation\.mode: 'flip'; allowed: whole, slide"):
        evaluate(evaluation_job(evaluation={"mode": "flip", "split": "val", "overlays": 0}), "cpu")


def test_the_command_line_runs_a_job_file(run, tmp_path):
    job = evaluation_job()
    run_job(write_job_file(tmp_path, "evaluate", job.params, job.outputs, job.inputs), "--device", "cpu")
    assert (tmp_path / "metrics.json").is_file()
