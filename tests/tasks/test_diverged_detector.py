"""A detector that has diverged is refused with its run and image; validation tests as evaluation does."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pipeline_src.data.detection.dataset import DetectionDataset
from pipeline_src.data.detection.transforms import DetectionEvalTransform
from pipeline_src.errors import InputError
from pipeline_src.evaluation.detection_pass import collect_detections
from pipeline_src.files import digest_file
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.tasks.detection import training as detection_training
from tests.jobs import run_job
from tests.tasks.tiny_detection import evaluate_job, experiments, run_params, train_job, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("boxes")
    write_data(root)
    return root


def detector(data, kind):
    section = {"kind": kind, "fpn_channels": 16}
    params = run_params(experiments(data, model={"backbone": "tiny", "detector": section}))
    torch.manual_seed(0)
    return build_detector(params["model"]).eval()


def message(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


BROKEN = [
    ("faster_rcnn", "rpn.head.cls_logits.bias", "rpn.head"),
    ("faster_rcnn", "roi_heads.box_predictor.cls_score.bias", "roi_heads.box_predictor"),
    ("faster_rcnn", "roi_heads.box_predictor.bbox_pred.bias", "roi_heads.box_predictor"),
    ("cascade_rcnn", "roi_heads.stages.1.box_predictor.bbox_pred.bias", "roi_heads.stages.1.box_predictor"),
    ("retinanet", "head.classification_head.cls_logits.bias", "head"),
    ("retinanet", "head.regression_head.bbox_reg.bias", "head"),
]


@pytest.mark.parametrize(("kind", "parameter", "head"), BROKEN)
def test_a_head_that_is_not_finite_is_not_taken_for_nothing_found(data, kind, parameter, head):
    model = detector(data, kind)
    split = DetectionDataset(
        data / "manifest.json", "val", DetectionEvalTransform.of((96, 64), (0.5,) * 3, (0.5,) * 3)
    )
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    collect_detections(model, split, 3, "cpu")
    with torch.no_grad():
        model.get_parameter(parameter)[-1] = float("nan")
    said = message(lambda: collect_detections(model, split, 3, "cpu", title="mine/seed-0"))
    assert said.startswith(
        f"mine/seed-0: image '0': an output of {head} is not finite; the model has diverged"
    )
    assert sum(len(module._forward_hooks) for module in model.modules()) == hooks


def test_step_evaluate_refuses_finite_weights_that_overflow(data, tmp_path):
    job = evaluate_job(tmp_path, data)
    params = run_params(experiments(data))
    weights = {
        key: (value * 1e30 if "fpn" in key or "rpn.head" in key else value).contiguous()
        for key, value in build_detector(params["model"]).state_dict().items()
    }
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    outputs = {"model": {"path": str(path), "sha256": digest_file(path)}}
    (tmp_path / "train.json").write_text(json.dumps({"outputs": outputs}))
    said = message(lambda: run_job(job, "--device", "cpu"))
    assert said.startswith("tiny/seed-0: image '0': an output of ")
    assert not (tmp_path / "metrics.json").exists()


def test_validation_keeps_to_the_defaults_whatever_a_test_keeps(data, tmp_path, monkeypatch):
    asked = []
    collect = detection_training.collect_detections

    def watched(*arguments, **options):
        asked.append((options["iou"], options["limit"]))
        return collect(*arguments, **options)

    monkeypatch.setattr(detection_training, "collect_detections", watched)
    section = {"kind": "faster_rcnn", "fpn_channels": 16, "test": {"nms_iou": 0.3, "detections": 7}}
    job = train_job(tmp_path, data, model={"backbone": "tiny", "detector": section})
    run_job(job, "--device", "cpu", "--work", str(tmp_path / "work"))
    assert asked and set(asked) == {(0.5, 100)}
