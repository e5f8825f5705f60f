"""Backbones give the features that timm and torchvision give with the same weights."""

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from pipeline_src.models.backbones.mobilenetv2 import MobileNetV2Pyramid
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.backbones.staged_backbone import StagedBackbone
from tests.models.miniatures import DILATABLE, MINIATURES, copy_in_order, miniature, randomise

ANY_SIZE = {"always_partition": True, "strict_img_size": False}


def timm_features(family: str, backbone: StagedBackbone, **options: Any) -> nn.Module:
    _, name, args = MINIATURES[family]
    if family == "swin":
        options |= ANY_SIZE
    if family in ("swin", "twins"):
        options["feature_cls"] = "getter"
    levels = [level - (1 if len(backbone.segments) != 5 else 2) for level in backbone.levels]
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    model = timm.create_model(name, features_only=True, out_indices=levels, **tuples, **options)
    copy_in_order(backbone.net, model)
    return model.eval()


def assert_same(ours: list[Tensor], reference: list[Tensor]) -> None:
    assert [f.shape for f in ours] == [f.shape for f in reference]
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_features_equal_timm_at_multiples_of_32(family: str) -> None:
    backbone = miniature(family)
    images = torch.randn(2, 3, 64, 96)
    assert_same(backbone(images), timm_features(family, backbone)(images))


@pytest.mark.parametrize(("height", "width"), [(61, 83), (77, 50), (33, 97)])
@pytest.mark.parametrize("family", ["resnet", "resnet_v1c", "resnet_basic", "mobilenetv2"])
@torch.no_grad()
def test_features_equal_timm_at_odd_sizes(family: str, height: int, width: int) -> None:
    backbone = miniature(family)
    images = torch.randn(1, 3, height, width)
    assert_same(backbone(images), timm_features(family, backbone)(images))


@pytest.mark.parametrize("size", [(52, 84), (36, 100), (44, 60)])
@torch.no_grad()
def test_swin_equals_timm_where_stages_have_odd_maps(size: tuple[int, int]) -> None:
    backbone = miniature("swin")
    images = torch.randn(1, 3, *size)
    assert_same(backbone(images), timm_features("swin", backbone)(images))


@torch.no_grad()
def test_swin_pads_an_image_to_whole_patches() -> None:
    backbone = miniature("swin")
    images = torch.randn(1, 3, 51, 82)
    assert_same(backbone(images), backbone(F.pad(images, (0, 2, 0, 1))))


@torch.no_grad()
def test_swin_windows_do_not_depend_on_the_creation_size() -> None:
    small, large = miniature("swin", args={"img_size": 64}), miniature("swin", args={"img_size": 512})
    images = torch.randn(1, 3, 128, 96)
    assert_same(small(images), large(images))
    assert all(block.shift_size == (3, 3) for layer in small.net.layers for block in layer.blocks[1::2])


@pytest.mark.parametrize("size", [(61, 83), (70, 90), (35, 127)])
@torch.no_grad()
def test_convnext_pads_odd_maps_before_each_down_sampling(size: tuple[int, int]) -> None:
    backbone = miniature("convnext")
    _, name, args = MINIATURES["convnext"]
    reference = timm.create_model(name, num_classes=0, **args)
    reference.load_state_dict(backbone.net.state_dict(), strict=False)
    images = torch.randn(1, 3, *size)
    expected = []
    x = reference.stem(pad_to(images, 4))
    for index, stage in enumerate(reference.eval().stages):
        x = stage(pad_to(x, 2) if index else x)
        expected.append(x)
    assert_same(backbone(images), expected)


@pytest.mark.parametrize("size", [(61, 83), (70, 90), (35, 127)])
@torch.no_grad()
def test_twins_pads_odd_maps_before_each_patch_embedding(size: tuple[int, int]) -> None:
    backbone = miniature("twins")
    _, name, args = MINIATURES["twins"]
    reference = timm.create_model(name, num_classes=0, **args)
    reference.load_state_dict(backbone.net.state_dict(), strict=False)
    reference.eval()
    expected = []
    x = torch.randn(1, 3, *size)
    images = x
    for stage in range(4):
        tokens, grid = reference.patch_embeds[stage](pad_to(x, 2 if stage else 4))
        for number, block in enumerate(reference.blocks[stage]):
            tokens = block(tokens, grid)
            if number == 0:
                tokens = reference.pos_block[stage](tokens, grid)
        x = tokens.reshape(1, *grid, -1).permute(0, 3, 1, 2).contiguous()
        expected.append(x)
    assert_same(backbone(images), expected)


def pad_to(x: Tensor, factor: int) -> Tensor:
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % factor, 0, -height % factor))


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("family", DILATABLE)
@torch.no_grad()
def test_dilated_features_equal_timm(family: str, output_stride: int) -> None:
    backbone = miniature(family, output_stride=output_stride)
    images = torch.randn(1, 3, 64, 96)
    features = backbone(images)
    assert_same(features, timm_features(family, backbone, output_stride=output_stride)(images))
    assert backbone.strides[-1] == output_stride
    assert [64 // f.shape[-2] for f in features] == backbone.strides


@pytest.mark.parametrize(("output_stride", "dilate"), [(32, None), (16, (0, 0, 1)), (8, (0, 1, 1))])
@torch.no_grad()
def test_resnet_bottlenecks_equal_torchvision(
    output_stride: int, dilate: tuple[int, int, int] | None
) -> None:
    torch.manual_seed(3)
    layers = [1, 1, 2, 3]
    backbone = ResNetPyramid("resnet50.tv_in1k", args={"layers": layers}, output_stride=output_stride)
    randomise(backbone).eval()
    dilation = [bool(value) for value in dilate] if dilate else None
    with torch.device("meta"):
        resnet = torchvision.models.resnet
        reference = resnet.ResNet(resnet.Bottleneck, layers, replace_stride_with_dilation=dilation).eval()
    reference.fc = nn.Identity()
    reference.load_state_dict(backbone.net.state_dict(), assign=True)
    x = torch.randn(1, 3, 65, 71)
    features = backbone(x)
    expected = [reference.relu(reference.bn1(reference.conv1(x)))]
    x = reference.maxpool(expected[0])
    for layer in (reference.layer1, reference.layer2, reference.layer3, reference.layer4):
        x = layer(x)
        expected.append(x)
    for mine, theirs in zip(features, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


@torch.no_grad()
def test_mobilenetv2_equals_torchvision() -> None:
    torch.manual_seed(4)
    backbone = MobileNetV2Pyramid("mobilenetv2_100.ra_in1k")
    randomise(backbone).eval()
    reference = torchvision.models.mobilenet_v2(weights=None).features[:18]
    copy_in_order(backbone.net, reference)
    images = torch.randn(1, 3, 75, 66)
    expected, x = [], images
    for index, block in enumerate(reference.eval()):
        x = block(x)
        if index in (1, 3, 6, 13, 17):
            expected.append(x)
    features = backbone(images)
    assert backbone.channels == [16, 24, 32, 96, 320]
    assert_same(features, expected)


@torch.no_grad()
def test_mobilenetv2_takes_tensorflow_padding() -> None:
    backbone = miniature("mobilenetv2", args={"pad_type": "same"})
    reference = timm.create_model("mobilenetv2_050", features_only=True, pad_type="same").eval()
    copy_in_order(backbone.net, reference)
    for size in [(64, 64), (61, 90)]:
        images = torch.randn(1, 3, *size)
        assert_same(backbone(images), reference(images))
        assert not torch.allclose(backbone(images)[-1], miniature("mobilenetv2")(images)[-1])


@pytest.mark.parametrize("levels", [None, [5], [3, 4]])
@torch.no_grad()
def test_the_norms_of_twins_stand_in_the_stream(levels: list[int] | None) -> None:
    """As MMSegmentation runs SVT: behind its blocks a stage is normalised, then given and read on."""
    backbone = miniature("twins", out_norm=True, out_levels=levels)
    _, name, args = MINIATURES["twins"]
    reference = timm.create_model(name, num_classes=0, **args)
    reference.load_state_dict(backbone.net.state_dict(), strict=False)
    reference.eval()
    images = torch.randn(2, 3, 61, 83)
    streams = {}
    for in_stream in (True, False):
        x, streams[in_stream] = images, []
        for stage, norm in enumerate(backbone.out_norms.values()):
            tokens, grid = reference.patch_embeds[stage](pad_to(x, 2 if stage else 4))
            for number, block in enumerate(reference.blocks[stage]):
                tokens = block(tokens, grid)
                if number == 0:
                    tokens = reference.pos_block[stage](tokens, grid)
            normed = F.layer_norm(tokens, tokens.shape[-1:], norm.weight, norm.bias, eps=1e-5)
            x, given = (as_map(kind, grid) for kind in (normed if in_stream else tokens, normed))
            if stage + 2 in backbone.levels:
                streams[in_stream].append(given)
    features = backbone(images)
    assert_same(features, streams[True])
    differences = [
        ((mine - other).norm() / other.norm()).item()
        for mine, other in zip(features, streams[False], strict=True)
    ]
    assert all((gap > 0.1) == (level > 2) for level, gap in zip(backbone.levels, differences, strict=True))


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    return tokens.reshape(len(tokens), *grid, -1).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize("family", [family for family in MINIATURES if family != "twins"])
@torch.no_grad()
def test_out_norm_normalises_outputs_and_not_what_runs_onward(family: str) -> None:
    plain, normed = miniature(family), miniature(family, out_norm=True)
    normed.net.load_state_dict(plain.net.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for raw, out, norm in zip(plain(images), normed(images), normed.out_norms.values(), strict=True):
        mean = raw.mean(dim=1, keepdim=True)
        variance = raw.var(dim=1, keepdim=True, unbiased=False)
        scale, shift = norm.weight[None, :, None, None], norm.bias[None, :, None, None]
        expected = (raw - mean) / (variance + normed.out_norm_eps).sqrt() * scale + shift
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", MINIATURES)
def test_drop_path_is_off_unless_asked_for(family: str) -> None:
    rates = {m.drop_prob for m in miniature(family).modules() if isinstance(m, timm.layers.DropPath)}
    assert rates <= {0.0}
    asked = miniature(family, args={"drop_path_rate": 0.4})
    rates = {m.drop_prob for m in asked.modules() if isinstance(m, timm.layers.DropPath)}
    assert max(rates) > 0.3
