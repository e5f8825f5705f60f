"""Detectors on guided backbones: with the identity start they begin as the plain detector."""

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from pipeline_src.config.expand import expand
from pipeline_src.config.load import load_params
from pipeline_src.models.detectors.build_detector import build_detector
from tests.models.detections import detections_of, gradients_of, images_and_targets, losses_of

STUDIES = {
    "faster_rcnn": ("ipg_positions", "none", "stages 2+3+4"),
    "retinanet": ("ipg_retinanet", "ResNet", "IPG-Net"),
    "cascade_rcnn": ("ipg_cascade", None, "IPG RCNN, IPG-Net-101"),
}


def planned(study: str, label: str, scale: str = "smoke") -> dict[str, Any]:
    """The resolved model section of a row."""
    found = expand(load_params(scale=scale))
    (row,) = [row for row in found.rows[study] if row.label == label]
    return found.runs[row.runs[0]].model


def pair(kind: str, fusion: str, seed: int) -> tuple[nn.Module, nn.Module]:
    """A plain and a guided detector as two runs of one seed would build them."""
    study, without, with_guidance = STUDIES[kind]
    guided = planned(study, with_guidance)
    plain = {**guided, "pyramid": None} if without is None else planned(study, without)
    guided = {**guided, "pyramid": {**guided["pyramid"], "fusion": fusion}}
    models = []
    for section in (plain, guided):
        torch.manual_seed(seed)
        models.append(build_detector(section))
    generator = torch.Generator().manual_seed(seed)
    theirs, ours = (dict(model.named_parameters()) for model in models)
    for name, parameter in theirs.items():
        # heads that detect something, the same in both: they start close to zero
        if parameter.ndim > 1 and not name.startswith("backbone."):
            parameter.data.normal_(std=2 * parameter[0].numel() ** -0.5, generator=generator)
            ours[name].data.copy_(parameter.data)
    return models[0], models[1]


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("fusion", ["sum", "product", "concat"])
def test_the_first_detections_are_those_of_the_plain_detector(kind: str, fusion: str) -> None:
    images, _ = images_and_targets(3, sizes=((101, 131), (96, 77)))
    for seed in (0, 1):
        plain, guided = pair(kind, fusion, seed)
        expected, found = detections_of(plain, images), detections_of(guided, images)
        assert all(len(one["boxes"]) > 5 for one in expected)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", STUDIES)
def test_what_both_networks_have_starts_from_the_same_weights(kind: str) -> None:
    study, without, with_guidance = STUDIES[kind]
    guided = planned(study, with_guidance)
    plain = {**guided, "pyramid": None} if without is None else planned(study, without)
    states = []
    for section in (plain, guided):
        torch.manual_seed(5)
        states.append(build_detector(section).state_dict())
        after = torch.rand(())
    assert torch.initial_seed() == 5 and torch.isfinite(after)
    theirs = {name.replace("pyramid.backbone.", "pyramid."): x for name, x in states[0].items()}
    ours = {name.replace("pyramid.backbone.", "pyramid."): x for name, x in states[1].items()}
    assert theirs.keys() < ours.keys()
    assert all(torch.equal(ours[name], x) for name, x in theirs.items())
    # and the added modules of two seeds differ
    torch.manual_seed(6)
    others = {
        n.replace("pyramid.backbone.", "pyramid."): x for n, x in build_detector(guided).state_dict().items()
    }
    added = [n for n in ours.keys() - theirs.keys() if "transformations" in n and ours[n].ndim == 4]
    assert added and not any(torch.equal(ours[name], others[name]) for name in added)


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("identity_start", [True, False])
def test_gradients_reach_the_parameters_of_every_level(kind: str, identity_start: bool) -> None:
    study, _, label = STUDIES[kind]
    section = planned(study, label)
    section = {**section, "pyramid": {**section["pyramid"], "identity_start": identity_start}}
    torch.manual_seed(0)
    model = build_detector(section)
    images, targets = images_and_targets(1, sizes=((128, 160), (120, 128)), classes=5)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    # the sum's zero factor gets a gradient at once, and what lies before it after one update
    for step in range(2 if identity_start else 1):
        gradients = gradients_of(model, losses_of(model, images, targets, step))
        optimizer.step()
    of_guidance = {
        name for name, _ in model.named_parameters() if ".transformations." in name or ".fusions." in name
    }
    assert of_guidance
    assert not [name for name in of_guidance if gradients.get(name) is None or not gradients[name].any()]


def test_a_plain_faster_rcnn_at_scale_paper_has_torchvisions_parameters() -> None:
    section = planned("ipg_positions", "none", scale="paper")
    assert section["num_classes"] == 81
    with torch.device("meta"):
        ours = build_detector(section)
        theirs = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=81)
    norms = sum(p.numel() for m in theirs.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()) - norms
