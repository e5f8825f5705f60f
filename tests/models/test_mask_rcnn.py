"""Our Mask R-CNN with torchvision's weights gives torchvision's losses, gradients, boxes and masks."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FrozenBatchNorm2d

from pipeline_src.data.instances.outlines import unpack
from pipeline_src.evaluation.divergence import NotFinite, finite_heads
from pipeline_src.evaluation.paste_masks import outlined
from pipeline_src.models.detectors.build_detector import build_detector
from pipeline_src.profiling.describe_detector import describe_detector
from pipeline_src.tasks.instances.costs import ellipses
from tests.models.detections import detections_of, images_and_targets, losses_of
from tests.models.test_detectors_against_torchvision import (
    FEW_THEIRS,
    check_losses_and_gradients,
    section,
    with_same_weights,
)

Pair = tuple[nn.Module, nn.Module]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Theirs and ours, with the same random weights and BN statistics."""
    torch.manual_seed(5)
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    yield with_same_weights(MaskRCNN(_resnet_fpn_extractor(body, 3), 91, **FEW_THEIRS), "mask_rcnn")


def with_masks(seed: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    images, targets = images_and_targets(seed)
    for image, target in zip(images, targets, strict=True):
        target["masks"] = ellipses(target["boxes"], (image.shape[1], image.shape[2]))
    return images, targets


@pytest.mark.parametrize("seed", [0, 1])
def test_losses_and_gradients_equal_torchvisions(pair: Pair, seed: int) -> None:
    theirs, ours = pair
    images, targets = with_masks(seed)
    assert "loss_mask" in losses_of(ours, images, targets, seed)
    check_losses_and_gradients(theirs, ours, images, targets, seed)


def test_boxes_and_pasted_masks_equal_torchvisions(pair: Pair) -> None:
    theirs, ours = pair
    images, _ = with_masks(0)
    expected, found = detections_of(theirs, images), detections_of(ours, images)
    for image, their, our in zip(images, expected, found, strict=True):
        assert len(their["boxes"]) > 10
        for key in ("boxes", "scores", "labels"):
            torch.testing.assert_close(our[key], their[key], rtol=1e-5, atol=1e-5)
        height, width = image.shape[1:]
        probabilities = paste_masks_in_image(our["masks"], our["boxes"], (height, width))
        torch.testing.assert_close(probabilities, their["masks"], rtol=1e-5, atol=1e-5)
        drawn = outlined(our, (height, width))["outlines"]
        pasted = (their["masks"][:, 0] >= 0.5).to(torch.uint8)
        ours_pasted = torch.stack([torch.from_numpy(unpack(one, (width, height))) for one in drawn])
        # a probability of just one half may fall to either side
        assert (ours_pasted != pasted).float().mean() < 1e-5


def test_a_pixel_of_just_one_half_belongs_to_its_object() -> None:
    """On a grid as large as torchvision's window nothing is interpolated, so that a half stays one."""
    boxes, masks = torch.tensor([[3.17, 3.17, 30.23, 30.23]]), torch.full((1, 1, 28, 28), 0.5)
    masks[0, 0, :, ::2] = 0.5 - 2**-20
    pasted = paste_masks_in_image(masks, boxes, (36, 40))[0, 0]
    (drawn,) = outlined({"boxes": boxes, "masks": masks}, (36, 40))["outlines"]
    assert (pasted == 0.5).sum() == 28 * 14
    assert torch.equal(torch.from_numpy(unpack(drawn, (40, 36))), (pasted == 0.5).to(torch.uint8))


def test_parameters_are_torchvisions() -> None:
    with torch.device("meta"):
        model = build_detector(section("mask_rcnn"))
        plain = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    assert sum(parameter.numel() for parameter in model.parameters()) == 44_401_393 - sum(
        p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
    )
    norms = sum(p.numel() for m in plain.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert sum(parameter.numel() for parameter in plain.parameters()) == 44_401_393 + norms


def test_masks_that_are_not_finite_are_not_taken_for_empty_ones(pair: Pair) -> None:
    ours = copy.deepcopy(pair[1]).eval()
    images, _ = with_masks(0)
    with finite_heads(ours), torch.no_grad():
        assert len(ours(images)[0]["masks"])
        ours.roi_heads.mask_predictor.mask_fcn_logits.bias[1] = float("nan")
        with pytest.raises(NotFinite, match=r"an output of roi_heads\.mask_predictor is not finite"):
            ours(images)


@pytest.mark.parametrize("size", [(65, 97), (80, 100), (96, 128)])
def test_an_image_counts_as_large_as_it_is_padded_to(size: tuple[int, int]) -> None:
    found, whole = (describe_detector(section("faster_rcnn"), one) for one in (size, (96, 128)))
    assert {**found, "crop": None} == {**whole, "crop": None}
    assert found["crop"] == list(size)


def test_the_mask_branch_counts_in_the_costs() -> None:
    plain = describe_detector(section("faster_rcnn"), (96, 128))
    masks = describe_detector(section("mask_rcnn"), (96, 128))
    four, deconvolution = 4 * 9 * 256 * 256 * 14 * 14, 4 * 256 * 256 * 14 * 14
    logits = 256 * 91 * 28 * 28
    assert masks["flops"] - plain["flops"] == 2 * 100 * (four + deconvolution + logits)
    assert masks["parameters"] == 44_401_393
