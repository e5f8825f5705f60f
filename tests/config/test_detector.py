"""Sections of detectors: what they build, and what is refused."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline_src.config.component_declarations import component
from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.config.model import model_spec
from pipeline_src.config.parameter_layers import Layer
from pipeline_src.errors import InputError
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.models.detectors.options import anchor_sizes, fpn_strides
from tests.models.detections import detections_of, images_and_targets, losses_of
from tests.models.miniatures import FAMILIES, MINIATURES

KINDS = ["faster_rcnn", "retinanet", "cascade_rcnn"]
SPEC: TypeAdapter[Any] = TypeAdapter(model_spec().model_fields["detector"].annotation)


def resolved(kind: str, **options: Any) -> dict[str, Any]:
    return SPEC.validate_python({"kind": kind, **options}).model_dump()


def model(kind: str, family: str = "resnet", **options: Any) -> dict[str, Any]:
    _, name, args = MINIATURES[family]
    few = {"proposals": {"post_nms_train": 30, "post_nms_test": 20}, "roi": {"channels": 12, "samples": 16}}
    return {
        "num_classes": 4,
        "backbone": {"timm": name, "family": family, "args": args, "output_stride": 32, "out_norm": False},
        "pyramid": None,
        "detector": resolved(kind, fpn_channels=8, **({} if kind == "retinanet" else few), **options),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_carries_every_detector(kind: str, family: str) -> None:
    detector = build_detector(model(kind, family))
    images, targets = images_and_targets(0, ((64, 75), (66, 96)), classes=4)
    losses = losses_of(detector, images, targets, seed=0)
    sum(losses.values()).backward()
    idle = [name for name, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    assert len(detections_of(detector, images)) == 2


def test_a_detector_sits_on_a_deep_feature_pyramid() -> None:
    section = model("faster_rcnn", levels=[3, 4, 5], frozen_stages=2)
    section["detector"]["roi"]["levels"] = [3, 4, 5]
    section["pyramid"] = {
        "kind": "dfp", "depth": 2, "scales": [1.0, 0.5],
        "split": "before_downsampling", "encoder": "per_branch",
    }  # fmt: skip
    detector = build_detector(section)
    images, targets = images_and_targets(0, ((64, 75),), classes=4)
    assert all(loss.isfinite() for loss in losses_of(detector, images, targets, seed=0).values())
    net = detector.backbone.pyramid.backbone.net
    assert not any(p.requires_grad for p in net.layer2.parameters())
    assert all(p.requires_grad for p in net.layer3.parameters())


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"kind": "yolo"}, "kind"),
        ({"kind": "retinanet", "roi": {}}, "roi"),
        ({"kind": "retinanet", "levels": []}, "levels"),
        ({"kind": "retinanet", "levels": [3, 9]}, "levels"),
        ({"kind": "faster_rcnn", "extra": "p6"}, "extra"),
        ({"kind": "faster_rcnn", "frozen_stages": 5}, "frozen_stages"),
        ({"kind": "faster_rcnn", "test": {"score": 1.5}}, "score"),
        ({"kind": "faster_rcnn", "proposals": {"negative_iou": 0.8}}, "negative_iou 0.8 is above"),
        ({"kind": "retinanet", "negative_iou": 0.6}, "negative_iou 0.6 is above"),
        ({"kind": "cascade_rcnn", "stages": []}, "stages"),
        (
            {"kind": "cascade_rcnn", "stages": [{"iou": 0.5, "loss_weight": 1.0, "box_weights": [1.0]}]},
            "box_weights",
        ),
    ],
)
def test_wrong_sections_are_refused(section: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        SPEC.validate_python(section)


@pytest.mark.parametrize(
    ("kind", "options", "family", "message"),
    [
        (
            "faster_rcnn",
            {"levels": [2, 3, 4, 5, 6]},
            "resnet",
            "levels: 6: the pyramid has 2, 3, 4, 5",
        ),
        ("cascade_rcnn", {"roi": {"levels": [3, 5]}}, "resnet", "roi.levels: [3, 5] has a gap"),
        ("retinanet", {}, "none", "frozen_stages: 1: the parts of this backbone's family are not known"),
    ],
)
def test_detectors_that_do_not_fit_are_refused_without_torch(
    kind: str, options: dict[str, Any], family: str, message: str
) -> None:
    with pytest.raises(InputError) as error:
        freezable = component("backbone.resnet").freezable if family == "resnet" else ()
        given = SPEC.validate_python({"kind": kind, **options}).given()
        component(f"detector.{kind}").check(given, [2, 3, 4, 5], freezable)
    assert str(error.value).startswith(message)


def test_planning_imports_no_torch(run_python: Any) -> None:
    code = (
        "import sys, pipeline_src.config.study, pipeline_src.models.detectors.options\n"
        "print([name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_strides_and_sizes_by_hand() -> None:
    assert fpn_strides([4, 8, 16, 32], "pool") == [4, 8, 16, 32, 64]
    assert fpn_strides([32, 32, 32, 32], "none") == [32, 32, 32, 32]
    assert fpn_strides([8, 16, 32], "p6p7") == [8, 16, 32, 64, 128]
    assert anchor_sizes([4, 64], 8.0, 1) == ((32,), (512,))
    # 128, 128 * 1.2599 = 161.3, 128 * 1.5874 = 203.2
    assert anchor_sizes([32, 32], 4.0, 3) == ((128, 161, 203), (128, 161, 203))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tables": [{"number": 9, "title": "t", "row": "{position}", "metrics": ["ap", "miou"]}]},
            r"studies\.ipg_positions\.tables\[0\]\.metrics\[1\]: 'miou' needs masks, and .* boxes; use ap",
        ),
        (
            {"figures": [{"kind": "predictions", "subject": "p", "title": "t"}]},
            r"studies\.ipg_positions\.figures\[0\]\.kind: 'predictions' needs masks, .* use .*detections",
        ),
    ],
)
def test_columns_and_figures_of_masks_are_refused_where_there_are_boxes(changes, message):
    tree = {"select": ["ipg_positions"], "studies": {"ipg_positions": changes}}
    with pytest.raises(InputError, match=message):
        expand(load_params(overlays=[Layer("my.yaml", tree)], scale="paper"))


def test_columns_of_boxes_are_refused_where_there_are_masks():
    table = {"number": 9, "title": "t", "row": "{model.pyramid.depth}", "metrics": ["ap_small"]}
    tree = {"select": ["dfp"], "studies": {"dfp": {"tables": [table]}}}
    with pytest.raises(InputError, match=r"'ap_small' needs boxes, and this study has masks; use miou"):
        expand(load_params(overlays=[Layer("my.yaml", tree)], scale="paper"))
