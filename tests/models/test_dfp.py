"""Deep Feature Pyramid against an independent, naive one."""

import copy
import math
from functools import partial

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.fusion.dfp import DeepFeaturePyramid
from tests.models.miniatures import FAMILIES, miniature, randomise

SCALES = (1.0, 0.75, 0.5)
SMALL = {"layers": [1, 1, 1, 1], "channels": [8, 12, 16, 20]}


def pyramid_on_resnet18(depth: int, **options) -> DeepFeaturePyramid:
    torch.manual_seed(depth)
    levels = options.pop("out_levels", [5])
    stride = options.pop("output_stride", 32)
    backbone = ResNetPyramid("resnet18", args=SMALL, out_levels=levels, output_stride=stride)
    return randomise(DeepFeaturePyramid(backbone, depth=depth, **options)).eval()


def timm_steps(backbone: ResNetPyramid) -> list[nn.Module]:
    net = timm.create_model("resnet18", num_classes=0, **SMALL)
    net.load_state_dict(backbone.net.state_dict())
    stem = nn.Sequential(net.conv1, net.bn1, net.act1)
    return [step.eval() for step in (stem, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4)]


def naive_encode(x: Tensor, state: dict[str, Tensor], prefix: str) -> Tensor:
    for block, padding in ((0, 0), (1, 1)):
        name = f"{prefix}.{block}"
        x = F.conv2d(x, state[f"{name}.0.weight"], padding=padding)
        mean, variance = state[f"{name}.1.running_mean"], state[f"{name}.1.running_var"]
        weight, bias = state[f"{name}.1.weight"], state[f"{name}.1.bias"]
        shape = (1, -1, 1, 1)
        x = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + 1e-5)
        x = torch.clamp(x * weight.view(shape) + bias.view(shape), min=0)
    return x


def naive_dfp(
    model: DeepFeaturePyramid, images: Tensor, split: int, shared: bool, scales: tuple[float, ...] = SCALES
) -> Tensor:
    steps = timm_steps(model.backbone)
    low = images
    for step in steps[:split]:
        low = step(low)
    encoded = []
    for branch, scale in enumerate(scales):
        height, width = (math.floor(side * scale + 0.5) for side in low.shape[-2:])
        x = F.interpolate(low, size=(height, width), mode="bilinear", align_corners=False)
        for step in steps[split:]:
            x = step(x)
        encoded.append(naive_encode(x, model.state_dict(), f"encoders.5.{0 if shared else branch}"))
    largest = (max(e.shape[-2] for e in encoded), max(e.shape[-1] for e in encoded))
    upsampled = [F.interpolate(e, size=largest, mode="bilinear", align_corners=False) for e in encoded]
    return torch.cat(upsampled, dim=1)


@pytest.mark.parametrize("encoder", ["per_branch", "shared"])
@pytest.mark.parametrize(
    ("depth", "split", "index"),
    [
        (5, "before_downsampling", 0),
        (5, "after_downsampling", 0),
        (4, "before_downsampling", 1),
        (3, "before_downsampling", 3),
        (3, "after_downsampling", 2),
        (2, "before_downsampling", 4),
        (1, "before_downsampling", 5),
    ],
)
@torch.no_grad()
def test_equals_a_naive_pyramid(depth: int, split: str, index: int, encoder: str) -> None:
    model = pyramid_on_resnet18(depth, split=split, encoder=encoder)
    for size in [(64, 96), (73, 50)]:
        images = torch.randn(1, 3, *size)
        (fused,) = model(images)
        expected = naive_dfp(model, images, index, shared=encoder == "shared")
        assert fused.shape == expected.shape == (1, 30, math.ceil(size[0] / 32), math.ceil(size[1] / 32))
        torch.testing.assert_close(fused, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_summed_branches_are_the_concatenated_ones_summed() -> None:
    concatenated, summed = (pyramid_on_resnet18(2, fusion=fusion) for fusion in ("concat", "sum"))
    summed.load_state_dict(concatenated.state_dict())
    images = torch.randn(2, 3, 73, 50)
    (apart,), (together,) = concatenated(images), summed(images)
    assert summed.channels == [10] and together.shape[1] == 10
    torch.testing.assert_close(together, sum(apart.chunk(3, dim=1)))


@torch.no_grad()
def test_the_largest_scale_decides_the_size_wherever_it_stands() -> None:
    scales = (0.5, 2.0, 1.25)
    model = pyramid_on_resnet18(2, scales=scales)
    images = torch.randn(1, 3, 96, 64)
    (fused,) = model(images)
    assert fused.shape[-2:] == (6, 4)
    torch.testing.assert_close(fused, naive_dfp(model, images, 4, True, scales), rtol=1e-4, atol=1e-4)


def test_the_first_part_runs_once_and_the_rest_once_per_scale() -> None:
    parts = ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    expected = {5: 0, 4: 1, 3: 3, 2: 4, 1: 5}
    for depth, split in expected.items():
        model = pyramid_on_resnet18(depth)
        calls: list[str] = []
        for part in parts:
            getattr(model.backbone.net, part).register_forward_hook(partial(_note, calls, part))
        model(torch.randn(1, 3, 64, 64))
        assert [calls.count(part) for part in parts] == [1] * split + [3] * (6 - split)


def _note(calls: list[str], part: str, *_: object) -> None:
    calls.append(part)


@torch.no_grad()
def test_at_depth_0_the_network_runs_once_and_has_an_encoder_on_its_last_level() -> None:
    model = pyramid_on_resnet18(0, out_levels=[3, 4, 5])
    images = torch.randn(1, 3, 73, 50)
    *plain, last = model.backbone(images)
    calls: list[str] = []
    model.backbone.net.conv1.register_forward_hook(partial(_note, calls, "conv1"))
    *passed, encoded = model(images)
    assert calls == ["conv1"]
    assert model.channels == [12, 16, 10]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(passed, plain, strict=True))
    expected = naive_encode(last, model.state_dict(), "encoders.5.0")
    torch.testing.assert_close(encoded, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_depth_0_is_a_pyramid_of_the_one_scale_1() -> None:
    none, one = pyramid_on_resnet18(0), pyramid_on_resnet18(1, scales=(1.0,))
    one.load_state_dict(none.state_dict())
    images = torch.randn(2, 3, 73, 50)
    torch.testing.assert_close(none(images), one(images))


@pytest.mark.parametrize("encoder", ["per_branch", "shared"])
def test_weights_of_the_network_are_shared_by_branches_at_every_depth(encoder: str) -> None:
    backbone = sum(p.numel() for p in ResNetPyramid("resnet18", args=SMALL).parameters())
    one_encoder = 20 * 10 + 10 * 10 * 9 + 4 * 10
    for depth in (0, 1, 2, 3, 4, 5):
        for scales in [(1.0,), SCALES, (1.0, 0.8, 0.6, 0.4)]:
            model = pyramid_on_resnet18(depth, scales=scales, encoder=encoder)
            encoders = one_encoder * (len(scales) if depth and encoder == "per_branch" else 1)
            assert sum(p.numel() for p in model.parameters()) == backbone + encoders


@pytest.mark.parametrize(
    ("depth", "encoder"), [(0, "shared"), (1, "shared"), (3, "per_branch"), (5, "shared")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_everything(family: str, depth: int, encoder: str) -> None:
    backbone = miniature(family, out_norm=family in ("swin", "twins", "convnext"))
    model = randomise(DeepFeaturePyramid(backbone, depth=depth, encoder=encoder)).train()
    features = model(torch.randn(2, 3, 96, 96))
    sum((feature * torch.randn_like(feature)).sum() for feature in features).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A key's bias shifts all logits of a query alike: its gradient is 0 up to rounding.
    assert [name for name in dead if not name.endswith(("kv.bias", "qkv.bias"))] == []


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_levels_before_the_split_pass_and_later_ones_are_fused(family: str, depth: int) -> None:
    backbone = miniature(family)
    model = randomise(DeepFeaturePyramid(copy.deepcopy(backbone), depth=depth)).eval()
    model.backbone.load_state_dict(backbone.state_dict())
    images = torch.randn(1, 3, 90, 61)
    features, plain = model(images), backbone(images)
    assert model.levels == backbone.levels
    assert model.strides == backbone.strides
    for level, feature, raw, channels in zip(model.levels, features, plain, model.channels, strict=True):
        assert feature.shape == (1, channels, *raw.shape[-2:])
        if level <= 5 - depth:
            assert torch.equal(feature, raw)
        else:
            assert channels == 3 * (raw.shape[1] // 2)


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("depth", [1, 2, 3])
@torch.no_grad()
def test_dilated_networks_are_fused_at_their_output_stride(depth: int, output_stride: int) -> None:
    model = pyramid_on_resnet18(depth, output_stride=output_stride)
    (fused,) = model(torch.randn(1, 3, 64, 80))
    assert model.strides == [output_stride]
    assert fused.shape[-2:] == (64 // output_stride, 80 // output_stride)


@pytest.mark.parametrize("depth", [1, 3, 5])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_tiny_maps_never_vanish(family: str, depth: int) -> None:
    model = DeepFeaturePyramid(miniature(family), depth=depth, scales=(0.01, 1.0, 0.3)).eval()
    for size in [(33, 32), (32, 45)]:
        for feature in model(torch.randn(1, 3, *size)):
            assert feature.isfinite().all()
            assert min(feature.shape[-2:]) >= 1


@torch.no_grad()
def test_a_single_scale_of_1_only_adds_the_encoder() -> None:
    model = pyramid_on_resnet18(3, scales=(1.0,))
    images = torch.randn(1, 3, 70, 64)
    (raw,) = model.backbone(images)
    (fused,) = model(images)
    torch.testing.assert_close(
        fused, naive_encode(raw, model.state_dict(), "encoders.5.0"), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_a_copy_is_independent_and_equal() -> None:
    model = pyramid_on_resnet18(2)
    images = torch.randn(1, 3, 64, 64)
    expected = model(images)[0]
    clone = copy.deepcopy(model)
    model.backbone.net.layer3[0].conv1.weight.zero_()
    assert torch.equal(clone(images)[0], expected)
    assert not torch.equal(model(images)[0], expected)


@pytest.mark.parametrize("depth", [1, 5])
def test_images_too_small_for_the_backbone_are_refused(depth: int) -> None:
    model = DeepFeaturePyramid(miniature("twins"), depth=depth)
    with pytest.raises(InputError, match="image of 40x20 pixels; needs at least 29 per side"):
        model(torch.randn(1, 3, 20, 40))


def test_wrong_options_are_refused() -> None:
    backbone = miniature("convnext")
    with pytest.raises(InputError, match="depth: 4: a stem that strides by 4"):
        DeepFeaturePyramid(backbone, depth=4)
    with pytest.raises(InputError, match="encoder: 'each'; allowed: shared, per_branch"):
        DeepFeaturePyramid(backbone, depth=2, encoder="each")
    with pytest.raises(InputError, match="fusion: 'product'; allowed: concat, sum"):
        DeepFeaturePyramid(backbone, depth=2, fusion="product")
    with pytest.raises(InputError, match=r"scales: .* needs a length of at least 1"):
        DeepFeaturePyramid(backbone, depth=2, scales=())
