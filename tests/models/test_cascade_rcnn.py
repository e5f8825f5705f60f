"""Cascade R-CNN: stages by hand, one stage against torchvision's RoIHeads, averages by brute force."""

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign, nms

from pipeline_src.models.detectors.cascade_rcnn import CASCADE_STAGES, CascadeRCNN
from pipeline_src.models.detectors.cascade_stages import (
    CascadeRoIHeads,
    CascadeStage,
    ClassAgnosticPredictor,
    cascade_stage,
    class_agnostic_loss,
)
from tests.models.detections import (
    FEW,
    SMALL,
    detections_of,
    gradients_of,
    images_and_targets,
    losses_of,
    make,
    no_boxes,
)

CLASSES = 4
SIZES = [(96, 128), (80, 101)]


class Constant(nn.Module):
    """A head and predictor whose logits and offsets are given, whatever the regions."""

    def __init__(self, logits: list[float], offsets: list[float]) -> None:
        super().__init__()
        self.values = nn.ParameterList([torch.tensor(logits), torch.tensor(offsets)])

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        logits, offsets = self.values
        return logits.expand(len(regions), -1), offsets.expand(len(regions), -1)


def pool() -> MultiScaleRoIAlign:
    return MultiScaleRoIAlign(["2"], 2, 2)


def stage(
    predictor: nn.Module,
    head: nn.Module | None = None,
    iou: float = 0.5,
    weight: float = 10.0,
    score: float = 0.05,
) -> CascadeStage:
    return cascade_stage(
        pool(), head or nn.Flatten(), predictor, iou=iou, box_weights=(weight,) * 2 + (weight / 2,) * 2,
        samples=64, positive_fraction=0.25, score=score, nms_iou=0.5, detections=100,
    )  # fmt: skip


def scene(seed: int) -> tuple[dict[str, Tensor], list[Tensor], list[dict[str, Tensor]]]:
    """A map of stride 4 for two images, proposals near and far from the boxes, and the boxes."""
    generator = torch.Generator().manual_seed(seed)
    _, targets = images_and_targets(seed, tuple(SIZES), classes=CLASSES)
    proposals = []
    for target, (height, width) in zip(targets, SIZES, strict=True):
        near = target["boxes"].repeat(4, 1) + torch.randn(20, 4, generator=generator) * 3
        near = torch.cat([near[:, :2], torch.maximum(near[:, 2:], near[:, :2] + 1)], 1)
        corners = torch.rand(30, 2, 2, generator=generator) * torch.tensor([width - 10.0, height - 10.0])
        far = corners.sort(dim=1).values + torch.tensor([[0.0, 0.0], [9.0, 9.0]])
        proposals.append(torch.cat([near, far.reshape(-1, 4)]).clamp(min=0, max=80))
    return {"2": torch.randn(2, 6, 24, 32, generator=generator)}, proposals, targets


# --- one stage -------------------------------------------------------------------------------


class RepeatedOffsets(nn.Module):
    """The same offsets for every class, as a class-specific predictor would give them."""

    def __init__(self, predictor: ClassAgnosticPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, offsets = self.predictor(x)
        return logits, offsets.repeat(1, CLASSES)


@pytest.mark.parametrize("average", ["scores", "logits"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_stage_is_a_class_agnostic_faster_rcnn(seed: int, average: str) -> None:
    torch.manual_seed(seed)
    head, predictor = TwoMLPHead(6 * 4, 32), ClassAgnosticPredictor(32, CLASSES)
    nn.init.normal_(predictor.cls_score.weight, std=1.0)
    weights = (10.0, 10.0, 5.0, 5.0)
    theirs = RoIHeads(pool(), head, RepeatedOffsets(predictor), 0.5, 0.5, 64, 0.25, weights, 0.05, 0.5, 100)
    ours = CascadeRoIHeads([stage(predictor, head)], [1.0], beta=1 / 9, average=average)
    features, proposals, targets = scene(seed)

    torch.manual_seed(seed)
    _, expected = theirs.train()(features, proposals, SIZES, targets)
    torch.manual_seed(seed)
    nothing, losses = ours.train()(features, proposals, SIZES, targets)
    assert nothing == []
    assert list(losses) == ["loss_classifier_1", "loss_box_reg_1"]
    torch.testing.assert_close(list(losses.values()), list(expected.values()))

    expected_detections, _ = theirs.eval()(features, proposals, SIZES)
    detections, nothing = ours.eval()(features, proposals, SIZES)
    assert nothing == {}
    assert all(len(one["boxes"]) > 5 for one in detections)
    torch.testing.assert_close(detections, expected_detections)


# --- by hand ---------------------------------------------------------------------------------


def test_targets_of_every_stage_by_hand() -> None:
    # A proposal of 20 x 20 pixels, a ground truth of 20 x 30 two to its right: IoU 360 / 640 = 0.5625.
    proposals = [torch.tensor([[10.0, 10.0, 30.0, 30.0]])]
    target = {"boxes": torch.tensor([[12.0, 10.0, 32.0, 40.0]]), "labels": torch.tensor([3])}
    for options, positive in zip(CASCADE_STAGES, [True, False, False], strict=True):
        one = cascade_stage(
            pool(), nn.Flatten(), nn.Flatten(), iou=options.iou, box_weights=options.box_weights,
            samples=8, positive_fraction=0.5, score=0.0, nms_iou=0.5, detections=1,
        )  # fmt: skip
        sampled, _, labels, offsets = one.select_training_samples(proposals, [target])
        # the ground truth itself comes last, and is always positive
        assert sampled[0].tolist() == [[10, 10, 30, 30], [12, 10, 32, 40]]
        assert labels[0].tolist() == [3 if positive else 0, 3]
        x, y, w, h = options.box_weights
        expected = [x * 2 / 20, y * 5 / 20, w * math.log(20 / 20), h * math.log(30 / 20)]
        torch.testing.assert_close(offsets[0], torch.tensor([expected, [0.0] * 4]))


def test_refined_boxes_by_hand_are_clipped() -> None:
    one = stage(nn.Flatten())
    boxes = [
        torch.tensor([[10.0, 10.0, 30.0, 50.0]]),
        torch.tensor([[0.0, 0.0, 8.0, 8.0], [90.0, 60.0, 100.0, 80.0]]),
    ]
    # x by a tenth of the width, twice the height; nothing; right by a whole width
    offsets = torch.tensor([[1.0, 0.0, 0.0, 5 * math.log(2)], [0.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]])
    refined = one.refine(offsets, boxes, SIZES)
    torch.testing.assert_close(refined[0], torch.tensor([[12.0, 0.0, 32.0, 70.0]]))
    torch.testing.assert_close(refined[1], torch.tensor([[0.0, 0.0, 8.0, 8.0], [100.0, 60.0, 101.0, 80.0]]))


def test_a_stage_gets_the_refined_boxes_without_ground_truth_and_empty_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every box moves right by its width: the far one leaves the image of 101 pixels and is empty there.
    first = stage(Constant([0.0] * CLASSES, [10.0, 0.0, 0.0, 0.0]))
    second = stage(Constant([0.0] * CLASSES, [0.0] * 4), iou=0.6)
    seen = []
    select = CascadeStage.select_training_samples

    def record(self: CascadeStage, proposals: list[Tensor], targets: Any) -> Any:
        seen.append([proposal.tolist() for proposal in proposals])
        return select(self, proposals, targets)

    monkeypatch.setattr(CascadeStage, "select_training_samples", record)
    proposals = [
        torch.tensor([[1.0, 2.0, 11.0, 12.0]]),
        torch.tensor([[40.0, 40.0, 60.0, 60.0], [81.0, 0.0, 101.0, 20.0]]),
    ]
    targets = [no_boxes(), {"boxes": torch.tensor([[42.0, 40.0, 62.0, 60.0]]), "labels": torch.tensor([2])}]
    cascade = CascadeRoIHeads([first, second], [1.0, 0.5]).train()
    _, losses = cascade({"2": torch.randn(2, 6, 24, 32)}, proposals, SIZES, targets)
    assert seen[1] == [[[11, 2, 21, 12]], [[60, 40, 80, 60]]]
    # equal logits: ln K in both, halved by the second stage's weight
    assert losses["loss_classifier_1"].item() == pytest.approx(math.log(CLASSES))
    assert losses["loss_classifier_2"].item() == pytest.approx(0.5 * math.log(CLASSES))


@pytest.mark.parametrize("seed", [0, 1])
def test_loss_by_brute_force(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, offsets = torch.randn(9, CLASSES, generator=generator), torch.randn(9, 4, generator=generator)
    targets, labels = (
        torch.randn(9, 4, generator=generator),
        torch.randint(0, CLASSES, (9,), generator=generator),
    )
    classifier = box_reg = 0.0
    for row, label in enumerate(labels.tolist()):
        classifier -= math.log(math.exp(logits[row, label]) / sum(math.exp(x) for x in logits[row]))
        for distance in (offsets[row] - targets[row]).abs().tolist() if label else []:
            box_reg += 0.5 * distance**2 / 0.7 if distance < 0.7 else distance - 0.35
    found = class_agnostic_loss(logits, offsets, labels, targets, beta=0.7)
    assert [one.item() for one in found] == pytest.approx([classifier / 9, box_reg / 9], rel=1e-5)


@pytest.mark.parametrize("average", ["scores", "logits"])
@pytest.mark.parametrize("seed", [0, 1])
def test_detections_by_brute_force(seed: int, average: str) -> None:
    torch.manual_seed(seed)
    stages = []
    for weight in (10.0, 20.0, 30.0):
        head, predictor = TwoMLPHead(6 * 4, 32), ClassAgnosticPredictor(32, CLASSES)
        nn.init.normal_(predictor.cls_score.weight, std=1.0)
        nn.init.normal_(predictor.bbox_pred.weight, std=1.0)
        stages.append(stage(predictor, head, weight=weight))
    cascade = CascadeRoIHeads(stages, [1.0, 0.5, 0.25], average=average).eval()
    features, proposals, _ = scene(seed)
    with torch.no_grad():
        found, _ = cascade(features, proposals, SIZES)
        for image, (height, width) in enumerate(SIZES):
            boxes, votes = proposals[image], []
            for one, weight in zip(stages, (10.0, 20.0, 30.0), strict=True):
                pooled = pool()({"2": features["2"][image : image + 1]}, [boxes], [(96, 128)])
                logits, offsets = one.box_predictor(one.box_head(pooled))
                votes.append(logits if average == "logits" else F.softmax(logits, 1))
                size = boxes[:, 2:] - boxes[:, :2]
                centre = boxes[:, :2] + size / 2 + offsets[:, :2] / weight * size
                half = size * (offsets[:, 2:] / (weight / 2)).clamp(max=math.log(1000 / 16)).exp() / 2
                boxes = torch.cat([centre - half, centre + half], 1).clamp(min=0)
                boxes = torch.minimum(boxes, torch.tensor([width, height, width, height]))
            scores = sum(votes) / 3
            scores = F.softmax(scores, 1) if average == "logits" else scores
            expected = []
            for label in range(1, CLASSES):
                good = (scores[:, label] > 0.05) & ((boxes[:, 2:] - boxes[:, :2]) >= 0.01).all(1)
                kept = nms(boxes[good], scores[good, label], 0.5)
                expected += [
                    (score.item(), label, box)
                    for score, box in zip(scores[good, label][kept], boxes[good][kept], strict=True)
                ]
            expected = sorted(expected, key=lambda one: -one[0])[:100]
            assert len(expected) > 5
            torch.testing.assert_close(found[image]["scores"], torch.tensor([one[0] for one in expected]))
            assert found[image]["labels"].tolist() == [one[1] for one in expected]
            torch.testing.assert_close(found[image]["boxes"], torch.stack([one[2] for one in expected]))


# --- the whole detector ----------------------------------------------------------------------


def test_three_stages_train_on_images_with_and_without_boxes_and_detect() -> None:
    model = make(CascadeRCNN, proposals=FEW, roi=SMALL)
    images, targets = images_and_targets(0, ((65, 97), (90, 64)), classes=7)
    for given in (targets, [targets[0], no_boxes()], [no_boxes(), no_boxes()]):
        losses = losses_of(model, images, given, seed=1)
        assert [name for name in losses if name.startswith("loss_c")] == [
            f"loss_classifier_{number}" for number in (1, 2, 3)
        ]
        assert len(losses) == 8
        assert all(torch.isfinite(loss) for loss in losses.values())
        gradients = gradients_of(model, losses)
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        assert gradients.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    for detections, image in zip(detections_of(model, images), images, strict=True):
        height, width = image.shape[-2:]
        boxes = detections["boxes"]
        assert 0 < len(boxes) <= 100
        assert (boxes >= 0).all() and (boxes[:, 0::2] <= width).all() and (boxes[:, 1::2] <= height).all()
        assert (detections["scores"] > 0.05).all() and (detections["scores"].diff() <= 0).all()


def test_loss_weights_scale_the_losses_of_their_stage() -> None:
    model = make(CascadeRCNN, proposals=FEW, roi=SMALL)
    images, targets = images_and_targets(2, classes=7)
    plain = copy.deepcopy(model)
    plain.roi_heads.loss_weights = (1.0, 1.0, 1.0)
    weighted, unweighted = (losses_of(one, images, targets, seed=5) for one in (model, plain))
    for number, weight in enumerate((1.0, 0.5, 0.25), start=1):
        for name in (f"loss_classifier_{number}", f"loss_box_reg_{number}"):
            torch.testing.assert_close(weighted[name], weight * unweighted[name])
