"""Image Pyramid Guidance against an independent, naive one, and what it promises of any backbone."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.fusion.ipg import ImagePyramidGuidance
from pipeline_src.models.fusion.ipg_fusion import OPERATORS
from tests.models.miniatures import FAMILIES, miniature, randomise
from tests.models.naive_ipg import DEEP, guided, naive_ipg
from tests.models.test_dfp import SMALL
from tests.models.test_ipg_fusion import zero_gradients


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("positions", [[3], [2, 3, 4], [1, 4, 5, 7]])
@pytest.mark.parametrize("fusion", OPERATORS)
@torch.no_grad()
def test_equals_a_naive_network(fusion: str, positions: list[int], keep: bool) -> None:
    torch.manual_seed(len(positions))
    backbone = ResNetPyramid("resnet18", args=SMALL, out_levels=[2, 3, 4, 5])
    options = {"positions": positions, "levels": "stages", "stages": 7, "keep": keep, "stem_channels": 8}
    model = ImagePyramidGuidance(backbone, fusion=fusion, identity_start=False, **options)
    model = randomise(model).double().eval()
    for size in [(256, 320), (203, 121)]:
        images = torch.randn(1, 3, *size, dtype=torch.float64)
        features, expected = model(images), naive_ipg(model, fusion, images, keep)
        assert model.levels == [2, 3, 4, 5, 6, 7, 8]
        for feature, reference in zip(features, expected, strict=True):
            torch.testing.assert_close(feature, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fusion", OPERATORS)
@pytest.mark.parametrize("family", FAMILIES)
def test_with_the_identity_start_features_are_those_of_the_backbone(family: str, fusion: str) -> None:
    out_norm = family in ("swin", "twins", "convnext")
    for training in (False, True):
        backbone = miniature(family, out_norm=out_norm)
        model = ImagePyramidGuidance(copy.deepcopy(backbone), fusion=fusion, positions=[1, 2, 3, 4])
        images = torch.randn(2, 3, 97, 74)
        features, plain = model.train(training)(images), backbone.train(training)(images)
        assert model.levels == backbone.levels
        assert model.channels == backbone.channels
        assert model.strides == backbone.strides
        for feature, raw in zip(features, plain, strict=True):
            assert torch.equal(feature, raw)


@torch.no_grad()
def test_extra_stages_start_the_same_with_and_without_guidance() -> None:
    images = torch.randn(1, 3, 160, 200)
    features = []
    for positions in ([], [2, 3, 4]):
        backbone = miniature("resnet")
        torch.manual_seed(3)
        model = ImagePyramidGuidance(backbone, positions=positions, stages=7).eval()
        features.append(model(images))
    assert all(torch.equal(plain, guided) for plain, guided in zip(*features, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_is_fused_runs_onward_and_is_normalised_where_it_is_given(family: str) -> None:
    backbone = miniature(family, out_norm=True)
    model = guided(family, backbone={"out_norm": True}, positions=[3], identity_start=False)
    images = torch.randn(1, 3, 90, 61)
    fused: list[Tensor] = []
    model.fusions["stage3"].register_forward_hook(lambda module, inputs, output: fused.append(output))
    features = dict(zip(model.levels, model(images), strict=True))
    plain = dict(zip(backbone.levels, backbone(images), strict=True))
    ends = [segment.level for segment in backbone.segments]
    # Twins reads the normalised map on, the others the fused one.
    onward = backbone.out_norms["4"](fused[0]) if family == "twins" else fused[0]
    after, following = backbone.collect(onward, ends.index(4) + 1, len(ends))
    for level, feature in features.items():
        assert torch.equal(feature, plain[level]) == (level < 4)
    assert torch.equal(features[4], backbone.out_norms["4"](fused[0]))
    assert torch.equal(features[5], following[5])
    assert torch.equal(features[5], after if family == "twins" else backbone.out_norms["5"](after))


def test_extra_stages_double_the_stride_or_keep_it_with_dilation_2() -> None:
    for keep, strides in ((False, [64, 128, 256]), (True, [32, 32, 32])):
        model = guided(stages=7, keep=keep, positions=[2])
        assert model.strides[-3:] == strides
        assert model.channels[-3:] == [80, 80, 80]
        assert list(model.extra_stages) == ["stage5", "stage6", "stage7"]
        for stage in model.extra_stages.values():
            blocks = list(stage)
            assert [type(block) for block in blocks] == [Bottleneck, Bottleneck]
            assert [block.downsample is not None for block in blocks] == [True, False]
            dilation = (2, 2) if keep else (1, 1)
            assert [block.conv2.dilation for block in blocks] == [dilation, dilation]
            assert blocks[0].conv2.stride == ((1, 1) if keep else (2, 2))


def bottleneck_parameters(inner: int, out: int, into: int, project: bool) -> int:
    weights = into * inner + 9 * inner**2 + inner * out
    norms = 2 * (inner + inner + out)
    return weights + norms + project * (into * out + 2 * out)


def test_parameters_of_the_real_resnet50_are_counted_by_formula() -> None:
    with torch.device("meta"):
        for fusion in OPERATORS:
            for positions, stages in (([3], 4), ([2, 3, 4], 5), ([1, 2, 3, 4], 7), ([], 6)):
                backbone = ResNetPyramid("resnet50")
                plain = sum(p.numel() for p in backbone.parameters())
                options = {"positions": positions, "stages": stages, "identity_start": False}
                model = ImagePyramidGuidance(backbone, fusion=fusion, **options)
                expected = plain
                for stage in positions:
                    c = 256 * 2 ** (stage - 1)
                    expected += 3 * 64 * 49 + 2 * 64 + bottleneck_parameters(c // 4, c, 64, True)
                    linear = c * c + c
                    expected += {
                        "sum": 3 * linear,
                        "product": 2 * linear + 2 * c,
                        "concat": 3 * linear + c * c,
                    }[fusion]
                first, second = (bottleneck_parameters(512, 2048, 2048, project) for project in (True, False))
                expected += (stages - 4) * (first + second)
                assert sum(p.numel() for p in model.parameters()) == expected


def test_image_features_have_c1_times_powers_of_2_channels() -> None:
    for family, first, options in (
        ("resnet", 32, {}),
        ("mobilenetv2", 16, {}),
        ("swin", 12, {"image_channels": 12}),
    ):
        model = guided(family, **DEEP, **options)
        widths = [t.block.conv3.out_channels for t in model.transformations.values()]
        assert widths == [first * 2 ** min(level, 3) for level in range(7)]


@pytest.mark.parametrize("fusion", OPERATORS)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_level_at_once_or_after_one_update(family: str, fusion: str) -> None:
    out_norm = family in ("swin", "twins", "convnext")
    for identity_start in (False, True):
        torch.manual_seed(4)
        backbone = miniature(family, out_norm=out_norm)
        model = ImagePyramidGuidance(
            backbone, fusion=fusion, keep=True, identity_start=identity_start, stem_channels=8, **DEEP
        ).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        dead = []
        for _ in range(2):
            optimizer.zero_grad()
            features = model(torch.randn(2, 3, 96, 128))
            sum((feature * torch.randn_like(feature)).sum() for feature in features).backward()
            # A key's bias shifts all logits of a query alike: its gradient is 0 up to rounding.
            zero = {n for n in zero_gradients(model) if not n.endswith(("kv.bias", "qkv.bias"))}
            dead.append(zero)
            optimizer.step()
        guidance = {name for name, _ in model.named_parameters() if name.startswith("transformations.")}
        assert guidance <= dead[0] if identity_start else not dead[0]
        assert all(name.startswith(("transformations.", "fusions.")) for name in dead[0])
        assert dead[1] == set()


@torch.no_grad()
def test_a_copy_is_independent_and_equal() -> None:
    model = guided(identity_start=False)
    images = torch.randn(1, 3, 64, 64)
    expected = model(images)
    clone = copy.deepcopy(model)
    model.transformations["stage3"].conv.weight.zero_()
    assert all(torch.equal(a, b) for a, b in zip(clone(images), expected, strict=True))
    assert not torch.equal(model(images)[-1], expected[-1])


def test_only_the_chosen_levels_are_given() -> None:
    model = guided("swin", backbone={"out_norm": True}, stages=6, positions=[2], out_levels=[3, 7])
    features = model(torch.randn(1, 3, 96, 64))
    assert model.levels == [3, 7] and model.strides == [8, 128]
    assert [feature.shape[1] for feature in features] == model.channels == [16, 64]
    # what is not given has no norm that would wait for a gradient
    assert list(model.backbone.out_norms) == ["3"]


def test_images_too_small_for_the_backbone_are_refused() -> None:
    with pytest.raises(InputError, match="image of 40x20 pixels; needs at least 29 per side"):
        guided("twins")(torch.randn(1, 3, 20, 40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "mean"}, "fusion: 'mean'; allowed: sum, product, concat"),
        ({"stages": 8}, "stages: 8 is not allowed; it needs at most 7"),
        ({"keep": True}, "keep: true holds the stride of stages 5 to 7, and stages is 4"),
        ({"positions": [5]}, "positions: 5 is no stage; the network has 1 to 4"),
        ({"positions": [5], "stages": 5}, "positions: stage 5 has no image"),
        ({"levels": 3}, "levels: 3; allowed: 4, stages"),
        ({"out_levels": [9]}, r"out_levels: \[9\]; this network has 1, 2, 3, 4, 5"),
        (
            {"stages": 6, "out_levels": [5]},
            "stages: 6 end with level 7, and nothing reads a level above 5; use 4",
        ),
        ({"image_channels": 6}, "image_channels: 6; a bottleneck's channels are a multiple of 4"),
        ({"stages": 5, "extra_channels": 9}, "extra_channels: 9; a bottleneck's channels"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        guided(**options)
    assert "\n" not in str(caught.value)


def test_a_backbone_that_ends_too_early_is_refused() -> None:
    with pytest.raises(
        InputError, match="positions: stage 4 ends level 5, and nothing reads a level above 4"
    ):
        guided(backbone={"out_levels": [2, 4]})
    with pytest.raises(
        InputError, match="stages: 5: stage 5 follows level 5, and the backbone ends at level 4"
    ):
        guided(backbone={"out_levels": [2, 4]}, stages=5, positions=[2])


def test_modules_that_are_added_have_norms_that_learn() -> None:
    model = guided(stages=5).train()
    added = [
        m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d) and "backbone" not in name
    ]
    assert len(added) == 3 * (1 + 4) + 4 + 3
    model(torch.randn(2, 3, 64, 64))
    assert all(m.weight.requires_grad and m.num_batches_tracked == 1 for m in added)
