"""A backbone can be run in pieces, copied, and cut to the levels that are wanted."""

import copy
import io
import math

import pytest
import torch

from pipeline_src.errors import InputError
from pipeline_src.models.backbones.resnet import ResNetPyramid
from pipeline_src.models.backbones.segments import Segment, minimum_side
from tests.models.miniatures import DILATABLE, MINIATURES, PATCHES, miniature


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_segments_one_by_one_equal_the_whole(family: str) -> None:
    backbone = miniature(family)
    images = torch.randn(2, 3, 59, 71)
    expected = dict(zip(backbone.levels, backbone(images), strict=True))
    x, stride = images, 1
    for index, segment in enumerate(backbone.segments):
        x = backbone.run(x, index, index + 1)
        stride *= segment.factor
        assert x.shape[-2:] == (math.ceil(59 / stride), math.ceil(71 / stride))
        if segment.level is not None:
            assert stride == 2**segment.level
            assert x.shape[1] == segment.channels
            assert torch.equal(x, expected.pop(segment.level))
    assert not expected


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_a_run_split_anywhere_equals_the_whole(family: str) -> None:
    backbone = miniature(family)
    images = torch.randn(1, 3, 64, 45)
    end = len(backbone.segments)
    whole = backbone(images)
    for split in range(end + 1):
        low, first = backbone.collect(images, 0, split)
        _, second = backbone.collect(low, split, end)
        for mine, theirs in zip([*first.values(), *second.values()], whole, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_copies_and_pickles_are_independent_and_equal(family: str) -> None:
    backbone = miniature(family, out_norm=True)
    images = torch.randn(1, 3, 40, 40)
    expected = [f.clone() for f in backbone(images)]
    buffer = io.BytesIO()
    torch.save(backbone, buffer)
    buffer.seek(0)
    clones = [copy.deepcopy(backbone), torch.load(buffer, weights_only=False)]
    for parameter in backbone.parameters():
        parameter.zero_()
    for clone in clones:
        for mine, theirs in zip(clone(images), expected, strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("levels", [None, [3], [5, 2]])
@pytest.mark.parametrize("family", MINIATURES)
def test_every_parameter_gets_a_gradient(family: str, levels: list[int] | None) -> None:
    backbone = miniature(family, out_norm=True, out_levels=levels).train()
    features = backbone(torch.randn(2, 3, 64, 64))
    assert backbone.levels == (sorted(levels) if levels else backbone.levels)
    sum((feature * torch.randn_like(feature)).sum() for feature in features).backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_fewer_levels_are_the_same_features(family: str) -> None:
    backbone = miniature(family)
    cut = miniature(family, out_levels=[2, 4])
    cut.load_state_dict(backbone.state_dict(), strict=False)
    images = torch.randn(1, 3, 64, 80)
    whole = dict(zip(backbone.levels, backbone(images), strict=True))
    for level, feature in zip(cut.levels, cut(images), strict=True):
        assert torch.equal(feature, whole[level])
    assert len(cut.state_dict()) < len(backbone.state_dict())


@pytest.mark.parametrize("family", MINIATURES)
@torch.no_grad()
def test_the_smallest_image_that_is_accepted_works(family: str) -> None:
    backbone = miniature(family)
    smallest = minimum_side(backbone.segments)
    features = backbone(torch.randn(1, 3, smallest, smallest + 2))
    assert all(min(feature.shape[-2:]) >= 1 for feature in features)
    if smallest > 1:
        with pytest.raises(
            InputError, match=f"{smallest - 1}x{smallest} pixels; needs at least {smallest} per side"
        ):
            backbone(torch.randn(1, 3, smallest, smallest - 1))


def test_minimum_side_equals_brute_force() -> None:
    def survives(side: int, segments: list[Segment]) -> bool:
        for segment in segments:
            side = side if segment.dilated else math.ceil(side / segment.factor)
            if side < segment.minimum:
                return False
        return True

    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        draw = torch.randint(0, 8, (5, 3), generator=generator).tolist()
        segments = [Segment("s", [1, 2, 4][a % 3], b == 0, minimum=1 + c) for a, b, c in draw]
        expected = next(side for side in range(1, 10_000) if survives(side, segments))
        assert minimum_side(segments) == expected


@pytest.mark.parametrize("family", sorted(set(MINIATURES) - set(DILATABLE)))
def test_output_stride_is_refused_where_the_family_has_none(family: str) -> None:
    with pytest.raises(InputError, match="output_stride 16; this family has only 32"):
        miniature(family, output_stride=16)


@pytest.mark.parametrize("family", PATCHES)
def test_a_level_above_the_stem_is_refused(family: str) -> None:
    with pytest.raises(InputError, match="no levels \\[1, 5\\]; it has 2, 3, 4, 5"):
        miniature(family, out_levels=[1, 5])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"output_stride": 4}, "output_stride 4; allowed: 8, 16, 32"),
        ("resnet50", {"args": {"num_classes": 3}}, "args must not hold num_classes"),
        ("resnet50", {"args": {"depth": 3}}, "resnet50: timm cannot make it with args .*depth"),
        ("resnet50.none_such", {}, "none_such"),
        ("resnet5000", {}, "Unknown model"),
        ("convnext_tiny", {}, "convnext_tiny: not a ResNet as ResNetPyramid needs"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        ResNetPyramid(name, **options)
    assert "\n" not in str(refusal.value)
