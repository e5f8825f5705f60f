"""DeepLabV3's and DeepLabV3+'s heads equal torchvision's and segmentation-models-pytorch's, weights copied.

What the peers define otherwise than MMSegmentation, and what is done about it here:

- Their fusion after the ASPP is 1x1: the 1x1 goes into the centre of a 3x3 that is 0 elsewhere; one test
  has a whole 3x3, run by `torch.nn.functional` on the peer's branches.
- Their image pool comes last: its group of fusion weights is moved.
- torchvision's head has one more 3x3 convolution before the classifier, and an elementwise dropout: its
  `ASPP` alone is the peer, in evaluation mode or without dropout.
- segmentation-models-pytorch's DeepLabV3+ has no BN and no ReLU between depthwise and pointwise
  convolution, one more separable convolution after the ASPP, one fewer after the concatenation, and always
  aligns corners when it upsamples the ASPP: BN and ReLU are inserted, the one left out, the other added.
"""

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import (
    DeepLabV3Decoder,
    DeepLabV3PlusDecoder,
    SeparableConv2d,
)
from torch import nn
from torchvision.models.segmentation.deeplabv3 import ASPP as TorchvisionASPP
from torchvision.models.segmentation.fcn import FCNHead as TorchvisionFCNHead

from pipeline_src.errors import InputError
from pipeline_src.models.decoders.aspp import ASPPHead
from pipeline_src.models.decoders.atrous_pooling import ASPP
from pipeline_src.models.decoders.fcn import FCNHead
from pipeline_src.models.decoders.sep_aspp import DepthwiseSeparableASPPHead
from tests.models.heads import assert_near, copy_pairs
from tests.models.miniatures import randomise

RATES = (2, 4, 6)


def copy_aspp(theirs: nn.Module, ours: ASPP) -> None:
    """Copy an ASPP whose image pool comes last and whose fusion is 1x1."""
    *rates, pool = theirs.convs
    copy_pairs((pool, ours.branches[0]), *zip(rates, list(ours.branches)[1:], strict=True))
    fusion, norm = theirs.project[0], theirs.project[1]
    weight = ours.fusion.convolution.weight
    weight.zero_()
    weight[:, :, 1, 1] = fusion.weight[:, :, 0, 0].roll(weight.shape[0], dims=1)
    copy_pairs((norm, ours.fusion[1]))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(16, 16), (9, 13)])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_aspp_equals_torchvision(seed: int, size: tuple[int, int], training: bool) -> None:
    torch.manual_seed(seed)
    theirs = randomise(TorchvisionASPP(10, RATES, 8)).train(training)
    theirs.project[3].p = 0.0
    ours = ASPP(10, 8, (1, *RATES)).train(training)
    copy_aspp(theirs, ours)
    x = torch.randn(3, 10, *size)
    assert_near(ours(x), theirs(x))


@pytest.mark.parametrize("size", [(16, 16), (9, 13)])
@torch.no_grad()
def test_head_equals_torchvisions_branches_under_a_3x3_fusion(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = randomise(TorchvisionASPP(10, RATES, 8)).eval()
    head = randomise(ASPPHead([10], 4, channels=8, dilations=(1, *RATES))).eval()
    *rates, pool = theirs.convs
    copy_pairs((pool, head.aspp.branches[0]), *zip(rates, list(head.aspp.branches)[1:], strict=True))
    x = torch.randn(2, 10, *size)
    fusion, norm, _ = head.aspp.fusion
    y = F.conv2d(torch.cat([pool(x), *(conv(x) for conv in rates)], dim=1), fusion.weight, padding=1)
    y = F.relu(F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias))
    expected = F.conv2d(y, head.classifier.weight, head.classifier.bias)
    assert_near(head([x]), expected)


@pytest.mark.parametrize("separable", [False, True])
@torch.no_grad()
def test_aspp_equals_segmentation_models_pytorch(separable: bool) -> None:
    torch.manual_seed(0)
    theirs = DeepLabV3Decoder(10, 8, RATES, aspp_separable=separable, aspp_dropout=0.0).aspp
    if separable:
        with_inner_norms(theirs)
    randomise(theirs).eval()
    ours = ASPP(10, 8, (1, *RATES), separable=separable).eval()
    copy_aspp(theirs, ours)
    x = torch.randn(2, 10, 11, 14)
    assert_near(ours(x), theirs(x))


def with_inner_norms(module: nn.Module) -> None:
    """Insert BN and ReLU between the depthwise and the pointwise convolution, everywhere in `module`."""
    for pair in list(module.modules()):
        if isinstance(pair, SeparableConv2d):
            pair.insert(1, nn.BatchNorm2d(pair[0].out_channels))
            pair.insert(2, nn.ReLU())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("stride", "size"), [(8, (10, 13)), (16, (5, 7))])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_separable_head_equals_segmentation_models_pytorch(
    seed: int, stride: int, size: tuple[int, int], training: bool
) -> None:
    torch.manual_seed(seed)
    theirs = DeepLabV3PlusDecoder(
        [3, 4, 6, 7, 9, 10], 5, 8, RATES, output_stride=stride, aspp_separable=True, aspp_dropout=0.0
    )
    theirs.aspp = theirs.aspp[0]
    second = [SeparableConv2d(8, 8, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    theirs.block2.extend([*second, nn.Conv2d(8, 4, 1)])
    with_inner_norms(theirs)
    randomise(theirs).train(training)

    head = DepthwiseSeparableASPPHead(
        [6, 10], 4, channels=8, dilations=(1, *RATES), dropout=0.0, align_corners=True
    ).train(training)
    copy_aspp(theirs.aspp, head.aspp)
    last = theirs.block2
    copy_pairs(
        (theirs.block1, head.compress),
        (last[:3], head.fusion),
        (last[3:6], head.refine),
        (last[6], head.classifier),
    )
    factor = {8: 2, 16: 4}[stride]
    fine = torch.randn(3, 6, size[0] * factor, size[1] * factor)
    coarse = torch.randn(3, 10, *size)
    assert_near(head([fine, coarse]), theirs([None, None, fine, None, None, coarse]))


@torch.no_grad()
def test_separable_head_upsamples_with_half_pixel_centres_by_default_to_any_size() -> None:
    torch.manual_seed(0)
    head = randomise(DepthwiseSeparableASPPHead([6, 10], 4, channels=8, dilations=(1, 2))).eval()
    fine, coarse = torch.randn(2, 6, 19, 26), torch.randn(2, 10, 3, 4)
    up = F.interpolate(head.aspp(coarse), size=(19, 26), mode="bilinear", align_corners=False)
    fused = torch.cat([up, head.compress(fine)], dim=1)
    expected = head.classifier(head.refine(head.fusion(fused)))
    assert_near(head([fine, coarse]), expected)


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_fcn_head_equals_torchvision(training: bool) -> None:
    """torchvision fixes the width at a quarter of the input's and drops single values, not channels."""
    torch.manual_seed(0)
    theirs = randomise(TorchvisionFCNHead(20, 4)).train(training)
    theirs[3].p = 0.0
    head = FCNHead([20], 4, channels=5, num_convs=1, concat_input=False, dropout=0.0).train(training)
    copy_pairs((nn.Sequential(theirs[0], theirs[1]), head.convs[0]), (theirs[4], head.classifier))
    x = torch.randn(2, 20, 7, 9)
    assert_near(head([x]), theirs(x))


def test_widths_and_initial_values_follow_mmsegmentation() -> None:
    torch.manual_seed(0)
    head = DepthwiseSeparableASPPHead([256, 64], 150)
    assert head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.classifier.bias.abs().max() == 0
    assert head.aspp.concat.channels == (512,) * 5
    assert head.aspp.concat.names == ("image pool", "rate 1", "rate 12", "rate 24", "rate 36")
    assert head.concat.channels == (512, 48)
    depthwise = head.fusion.depthwise.convolution
    assert (depthwise.groups, depthwise.weight.shape) == (560, (560, 1, 3, 3))
    # fan out of torch's initialisation: output channels x 9, as in MMSegmentation
    assert depthwise.weight.std().item() == pytest.approx((2 / (560 * 9)) ** 0.5, rel=0.05)


def test_wrong_dilations_are_refused() -> None:
    with pytest.raises(InputError, match=r"dilations: \[\] is not allowed"):
        ASPPHead([8], 4, dilations=[])
