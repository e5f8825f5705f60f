"""The PSP head equals the pyramid pooling of segmentation-models-pytorch, weights copied across."""

import pytest
import torch
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPModule as PSPNetModule
from segmentation_models_pytorch.decoders.upernet.decoder import PSPModule as UPerNetModule
from torch import nn

from pipeline_src.errors import InputError
from pipeline_src.models.decoders.psp import PSPHead
from tests.models.heads import assert_near, copy_pairs
from tests.models.miniatures import randomise


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(12, 12), (9, 13), (4, 5)])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_head_equals_the_pooling_module_of_their_upernet(seed: int, size: tuple, training: bool) -> None:
    """Their UPerNet's module is the same operator: raw map first, 3x3 fusion, BN in every branch."""
    torch.manual_seed(seed)
    theirs = nn.Sequential(UPerNetModule(10, 8), nn.Conv2d(8, 4, 1))
    randomise(theirs).train(training)
    head = PSPHead([10], 4, channels=8, dropout=0.0).train(training)
    copy_pairs(
        (theirs[0].blocks, head.ppm.convs),
        (theirs[0].out_conv, head.ppm.fusion),
        (theirs[1], head.classifier),
    )
    x = torch.randn(3, 10, *size)
    assert_near(head([x]), theirs(x))


@pytest.mark.parametrize("size", [(12, 12), (9, 13), (5, 7)])
@torch.no_grad()
def test_aligned_corners_equal_the_pooling_module_of_their_pspnet(size: tuple[int, int]) -> None:
    """Their PSPNet's module always aligns corners, puts the raw map last, fixes the branches' width at
    a quarter of the input's, and has a bias in place of BN at pool 1. It ends before the fusion."""
    torch.manual_seed(0)
    theirs = randomise(PSPNetModule(12)).eval()
    head = PSPHead([12], 4, channels=3, align_corners=True).eval()
    copy_pairs(*zip(list(theirs.blocks)[1:], list(head.ppm.convs)[1:], strict=True))
    convolution, norm = head.ppm.convs[0][0], head.ppm.convs[0][1]
    convolution.weight.copy_(theirs.blocks[0].pool[1][0].weight)
    norm.running_var.fill_(1 - norm.eps)
    norm.bias.copy_(theirs.blocks[0].pool[1][0].bias)
    x = torch.randn(2, 12, *size)
    branches = head.ppm.concat.align([x, *(c(p(x)) for c, p in zip(head.ppm.convs, head.ppm.pools))], size)
    assert_near(torch.cat([*branches[1:], branches[0]], dim=1), theirs(x))


def test_initial_values_follow_mmsegmentation() -> None:
    torch.manual_seed(0)
    head = PSPHead([64], 150, channels=128)
    assert head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.classifier.bias.abs().max() == 0
    assert head.ppm.fusion.convolution.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.05)
    assert head.dropout.p == 0.1


def test_wrong_scales_are_refused() -> None:
    with pytest.raises(InputError, match="pool_scales: 0 is not allowed; it needs above 0"):
        PSPHead([8], 4, pool_scales=[2, 0])
