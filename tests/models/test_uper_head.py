"""The UPer head and its auxiliary head equal those of Hugging Face transformers, weights copied across."""

import pytest
import torch
from torch import Tensor, nn
from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation
from transformers.models.upernet.modeling_upernet import UperNetFCNHead, UperNetHead

from pipeline_src.errors import InputError
from pipeline_src.models.decoders.fcn import FCNHead
from pipeline_src.models.decoders.uper import UPerHead
from pipeline_src.models.pyramid import FeaturePyramid
from pipeline_src.models.segmentor import SegmentationModel
from pipeline_src.training.losses import SegmentationLoss
from tests.models.heads import assert_near, copy_pairs, enlarge_classifier
from tests.models.miniatures import randomise

WIDTHS = [6, 8, 10, 12]
CLASSES = 5


def config(**changes: object) -> UperNetConfig:
    backbone = ConvNextConfig(
        hidden_sizes=WIDTHS, depths=[1, 1, 2, 1], out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    options = {"hidden_size": 16, "auxiliary_channels": 9, "num_labels": CLASSES, **changes}
    return UperNetConfig(backbone_config=backbone, **options)


def copied_head(theirs: nn.Module, **options: object) -> UPerHead:
    """Our head with the weights of transformers' one; dropout 0, since theirs has none."""
    head = UPerHead(WIDTHS, CLASSES, channels=16, dropout=0.0, **options)
    copy_pairs(
        (theirs.psp_modules, head.ppm.convs),
        (theirs.bottleneck, head.ppm.fusion),
        (theirs.lateral_convs, head.laterals),
        (theirs.fpn_convs, head.fpn_convs),
        (theirs.fpn_bottleneck, head.fusion),
        (theirs.classifier, head.classifier),
    )
    return head


def copied_auxiliary(theirs: nn.Module, **options: object) -> FCNHead:
    chosen = {"concat_input": False, **options}
    head = FCNHead([WIDTHS[2]], CLASSES, channels=9, level=4, dropout=0.0, **chosen)
    pairs = [(theirs.convs, head.convs), (theirs.classifier, head.classifier)]
    if head.conv_cat is not None:
        pairs.append((theirs.conv_cat, head.conv_cat))
    copy_pairs(*pairs)
    return head


def features(seed: int, sizes: list[tuple[int, int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(3, width, *size, generator=generator) for width, size in zip(WIDTHS, sizes, strict=True)
    ]


SIZES = [
    [(32, 32), (16, 16), (8, 8), (4, 4)],
    [(29, 43), (15, 22), (8, 11), (4, 6)],
    # dilated: the last stages have one size
    [(17, 21), (9, 11), (9, 11), (9, 11)],
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("sizes", "pool_scales"), [(s, (1, 2, 3, 6)) for s in SIZES] + [(SIZES[1], (1, 4))])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_head_equals_transformers(seed: int, sizes: list, pool_scales: tuple, training: bool) -> None:
    torch.manual_seed(seed)
    theirs = UperNetHead(config(pool_scales=pool_scales), WIDTHS)
    enlarge_classifier(theirs)
    randomise(theirs).train(training)
    head = copied_head(theirs, pool_scales=pool_scales).train(training)
    inputs = features(seed, sizes)
    assert_near(head(inputs), theirs(inputs))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("num_convs", "concat_input"), [(1, False), (1, True), (3, True)])
@torch.no_grad()
def test_auxiliary_head_equals_transformers(num_convs: int, concat_input: bool, training: bool) -> None:
    torch.manual_seed(num_convs)
    options = {"auxiliary_num_convs": num_convs, "auxiliary_concat_input": concat_input}
    theirs = UperNetFCNHead(config(**options), WIDTHS)
    enlarge_classifier(theirs)
    randomise(theirs).train(training)
    head = copied_auxiliary(theirs, num_convs=num_convs, concat_input=concat_input).train(training)
    inputs = features(1, SIZES[1])
    assert_near(head([inputs[2]]), theirs(inputs))


class TheirBackbone(FeaturePyramid):
    """The backbone of transformers' network as a feature pyramid."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.levels = [2, 3, 4, 5]
        self.channels = WIDTHS
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.network(images).feature_maps)


def both_networks(seed: int) -> tuple[nn.Module, SegmentationModel]:
    torch.manual_seed(seed)
    theirs = UperNetForSemanticSegmentation(config())
    for head in (theirs.decode_head, theirs.auxiliary_head):
        enlarge_classifier(head)
    randomise(theirs)
    decoder = copied_head(theirs.decode_head)
    auxiliary = copied_auxiliary(theirs.auxiliary_head, num_convs=1)
    ours = SegmentationModel(TheirBackbone(theirs.backbone), decoder, [2, 3, 4, 5], auxiliary, [4])
    return theirs, ours


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("size", [(128, 128), (135, 201)])
@torch.no_grad()
def test_whole_network_equals_transformers(size: tuple[int, int], seed: int) -> None:
    theirs, ours = both_networks(seed)
    images = torch.randn(2, 3, *size)
    assert_near(ours.eval()(images), theirs.eval()(images).logits)


@pytest.mark.parametrize("seed", range(2))
@torch.no_grad()
def test_training_loss_with_the_auxiliary_head_equals_transformers(seed: int) -> None:
    theirs, ours = both_networks(seed)
    images = torch.randn(2, 3, 99, 133)
    masks = torch.randint(CLASSES, (2, 99, 133))
    masks[torch.rand(masks.shape) < 0.3] = 255
    expected = theirs.train()(images, labels=masks).loss
    loss = SegmentationLoss("labelled_pixels", 255)
    actual = loss(ours.train()(images), masks, loss.pixels(masks))
    assert actual.item() == pytest.approx(expected.item(), rel=1e-5)


def test_initial_values_follow_mmsegmentation() -> None:
    torch.manual_seed(0)
    head = UPerHead([64, 64, 64, 64], 150, channels=96)
    assert head.classifier.bias.abs().max() == 0
    assert head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.fusion.convolution.weight.std().item() == pytest.approx((2 / (96 * 9)) ** 0.5, rel=0.05)
    convolutions = [module for module in head.modules() if isinstance(module, nn.Conv2d)]
    assert [conv for conv in convolutions if conv.bias is not None] == [head.classifier]
    assert head.dropout.p == 0.1


def test_wrong_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"pool_scales: \[\] is not allowed"):
        UPerHead(WIDTHS, CLASSES, pool_scales=[])
    with pytest.raises(ValueError, match="3 levels of channels"):
        UPerHead(WIDTHS[1:], CLASSES)
