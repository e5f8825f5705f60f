"""Our detectors with torchvision's weights give torchvision's losses, gradients and detections."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import (
    FasterRCNN,
    RetinaNet,
    fasterrcnn_resnet50_fpn,
    retinanet_resnet50_fpn,
)
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from pipeline_src.components import load
from pipeline_src.config.sections import section_of
from pipeline_src.models.detectors.build_detector import build_detector
from tests.models.detections import (
    detections_of,
    gradients_of,
    images_and_targets,
    losses_of,
    no_boxes,
    without_resize,
)
from tests.models.miniatures import randomise

Pair = tuple[nn.Module, nn.Module]
FEW_THEIRS = {
    "rpn_pre_nms_top_n_train": 150, "rpn_post_nms_top_n_train": 80,
    "rpn_pre_nms_top_n_test": 150, "rpn_post_nms_top_n_test": 60, "box_batch_size_per_image": 32,
}  # fmt: skip
FEW_OURS = {
    "proposals": {"pre_nms_train": 150, "post_nms_train": 80, "pre_nms_test": 150, "post_nms_test": 60},
    "roi": {"samples": 32},
}
SECTIONS: dict[str, dict[str, Any]] = {
    "faster_rcnn": FEW_OURS,
    "mask_rcnn": FEW_OURS,
    "retinanet": {"test": {"detections": 300}},
}
SMALLEST_SIDE = 96


def section(kind: str, **options: Any) -> dict[str, Any]:
    """The resolved model section of a ResNet-50 under that detector, 91 classes."""
    spec = section_of(load(f"detector.{kind}").Options, kind)
    return {
        "num_classes": 91,
        "backbone": {
            "timm": "resnet50.tv_in1k", "family": "resnet", "args": {},
            "output_stride": 32, "out_norm": False,
        },
        "pyramid": None,
        "detector": spec(kind=kind, **(SECTIONS[kind] | options)).model_dump(),
    }  # fmt: skip


def of_torchvision(kind: str) -> nn.Module:
    """What torchvision's function builds with pretrained weights: BN and the first two stages are frozen."""
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    if kind == "faster_rcnn":
        return FasterRCNN(_resnet_fpn_extractor(body, 3), 91, **FEW_THEIRS)
    extra = LastLevelP6P7(256, 256)
    return RetinaNet(_resnet_fpn_extractor(body, 3, returned_layers=[2, 3, 4], extra_blocks=extra), 91)


def our_name(name: str) -> str:
    """Ours for torchvision's name of a parameter or buffer."""
    return name.replace("backbone.body.", "backbone.pyramid.net.")


def with_same_weights(theirs: nn.Module, kind: str) -> Pair:
    """Theirs, which takes images as they are, and ours, with the same random weights and BN statistics."""
    without_resize(theirs, SMALLEST_SIDE)
    randomise(theirs.backbone.body)
    for name, norm in theirs.backbone.body.named_modules():
        # residual branches that stay small beside their inputs, or the maps would grow with every block
        if name.endswith(("bn3", "downsample.1")):
            norm.weight.mul_(0.2)
    # heads that detect something: torchvision starts them close to zero
    for name, parameter in theirs.named_parameters():
        if name.endswith(("bbox_pred.weight", "bbox_reg.weight", "mask_fcn_logits.weight")):
            parameter.data.mul_(3.0)
        elif name.endswith(("cls_logits.weight", "cls_score.weight")):
            parameter.data.mul_(40.0)
    ours = build_detector(section(kind))
    ours.load_state_dict({our_name(name): x for name, x in theirs.state_dict().items()})
    return theirs, ours


@pytest.fixture(scope="module", params=["faster_rcnn", "retinanet"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Theirs and ours."""
    torch.manual_seed(3)
    yield with_same_weights(of_torchvision(request.param), request.param)


@pytest.mark.parametrize("seed", [0, 1])
def test_losses_and_gradients_equal_torchvisions(pair: Pair, seed: int) -> None:
    theirs, ours = pair
    images, targets = images_and_targets(seed)
    if seed:
        targets[1] = no_boxes()
    check_losses_and_gradients(theirs, ours, images, targets, seed)


def check_losses_and_gradients(
    theirs: nn.Module, ours: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]], seed: int
) -> None:
    expected = losses_of(theirs, images, targets, seed)
    found = losses_of(ours, images, targets, seed)
    assert list(found) == list(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    expected_gradients = gradients_of(theirs, expected)
    gradients = gradients_of(ours, found)
    assert {our_name(name) for name in expected_gradients} == set(gradients)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[our_name(name)], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_detections_equal_torchvisions(pair: Pair, seed: int) -> None:
    theirs, ours = pair
    images, _ = images_and_targets(seed)
    expected, found = detections_of(theirs, images), detections_of(ours, images)
    assert all(len(detections["boxes"]) > 10 for detections in expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "function", "published"),
    [
        ("faster_rcnn", fasterrcnn_resnet50_fpn, 41_755_286),
        ("retinanet", retinanet_resnet50_fpn, 34_014_999),
    ],
)
def test_parameters_are_torchvisions(kind: str, function: Any, published: int) -> None:
    with torch.device("meta"):
        model = build_detector(section(kind))
        plain = function(weights=None, weights_backbone=None)
    assert sum(parameter.numel() for parameter in model.parameters()) == published
    norms = sum(p.numel() for m in plain.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert sum(parameter.numel() for parameter in plain.parameters()) == published + norms
