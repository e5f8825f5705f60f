"""Image Pyramid Guidance at every image size: features of images and of stages fit and lie in place."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline_src.models.fusion import ipg
from pipeline_src.models.fusion.ipg import GuidanceTransformation, ImagePyramidGuidance
from tests.models.miniatures import DILATABLE, FAMILIES, miniature
from tests.models.naive_ipg import DEEP, guided

SIDES = range(64, 1334)
SIZES = [(64, 64), (65, 71), (97, 1333), (375, 499), (799, 1067), (801, 1332), (1333, 1333)]


def random_sizes(seed: int, count: int) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    return [(int(height), int(width)) for height, width in rng.integers(SIDES[0], SIDES[-1] + 1, (count, 2))]


def without_norms(model: ImagePyramidGuidance) -> ImagePyramidGuidance:
    """`model` without BN, which changes no size and takes time."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            model.set_submodule(name, nn.Identity())
    return model.eval()


CASES = [("resnet", False, 13), ("resnet", True, 5), *((name, False, 5) for name in FAMILIES[1:])]


@pytest.mark.parametrize(("family", "keep", "count"), CASES)
@torch.no_grad()
def test_features_of_images_have_the_size_of_the_stages(
    family: str, keep: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # on the meta device large images take no memory; what resizes to a given size is slow there
    monkeypatch.setattr(ipg, "resize_bilinear", lambda x, size: x.new_empty((*x.shape[:2], *size)))
    model = without_norms(ImagePyramidGuidance(miniature(family), keep=keep, **DEEP)).to("meta")
    seen: list[tuple[torch.Size, torch.Size]] = []
    for fusion in model.fusions.values():
        fusion.register_forward_pre_hook(
            lambda module, inputs: seen.append((inputs[0].shape[-2:], inputs[1].shape[-2:]))
        )
    for height, width in [*SIZES, *random_sizes(len(family) + keep, count)]:
        seen.clear()
        features = model(torch.empty(1, 3, height, width, device="meta"))
        assert len(seen) == 7 and all(image == backbone for image, backbone in seen)
        for feature, channels, stride in zip(features, model.channels, model.strides, strict=True):
            expected = (1, channels, math.ceil(height / stride), math.ceil(width / stride))
            assert feature.shape == expected


@pytest.mark.parametrize(("family", "keep"), [("resnet", False), ("resnet", True), ("resnet_v1c", False)])
@torch.no_grad()
def test_every_segment_and_stage_of_a_resnet_rounds_every_side_up(family: str, keep: bool) -> None:
    """With the transformation's rounding below, the sizes fit at every side, since rounding up composes:
    ceil(ceil(n / a) / b) is ceil(n / (a b)).
    """
    model = without_norms(ImagePyramidGuidance(miniature(family), keep=keep, **DEEP))
    backbone = model.backbone
    steps: list[tuple[Callable[[torch.Tensor], torch.Tensor], int]] = [
        (partial(backbone.run, start=index, stop=index + 1), 1 if segment.dilated else segment.factor)
        for index, segment in enumerate(backbone.segments)
    ]
    steps += [(stage, 1 if keep else 2) for stage in model.extra_stages.values()]
    assert math.prod(factor for _, factor in steps) == model.strides[-1]
    x, sides = torch.zeros(1, 3, 64, 64), set(SIDES)
    for run, factor in steps:
        for side in sides:
            assert run(x.new_zeros(1, x.shape[1], side, 2)).shape[-2] == math.ceil(side / factor)
        x, sides = run(x), {math.ceil(side / factor) for side in sides}


@torch.no_grad()
def test_a_transformation_rounds_every_side_up() -> None:
    transformation = GuidanceTransformation(8, 1).eval()
    transformation.block = nn.Identity()
    for side in range(1, 1334):
        assert transformation(torch.zeros(1, 3, side, 7)).shape == (1, 1, math.ceil(side / 4), 2)


@pytest.mark.parametrize("size", [(64, 65), (131, 333), (799, 1333)])
def test_pixels_of_a_smaller_image_stay_in_place(size: tuple[int, int]) -> None:
    # A ramp holds its own coordinate, which bilinear halving moves only by the rounding of the size.
    ramps = [torch.arange(side, dtype=torch.float64) + 0.5 for side in size]
    rows, columns = torch.meshgrid(*ramps, indexing="ij")
    model = guided(positions=[4], levels="stages")
    pyramid = model.image_pyramid(torch.stack([rows, columns, rows])[None])
    assert len(pyramid) == 4
    for number, image in enumerate(pyramid):
        for axis, side in enumerate(size):
            count = math.ceil(side / 2**number)
            assert image.shape[-2 + axis] == count
            found = image[0, axis].select(1 - axis, 0)[1:-1]
            expected = ((torch.arange(count, dtype=torch.float64) + 0.5) * side / count)[1:-1]
            torch.testing.assert_close(found, expected)
            ideal = ((torch.arange(count, dtype=torch.float64) + 0.5) * 2**number)[1:-1]
            # a stage's stride is 4 * 2**number pixels
            assert (found - ideal).abs().max() < 4 * 2**number / 4


@torch.no_grad()
def test_halving_an_even_image_averages_squares_of_four() -> None:
    images = torch.randn(1, 3, 64, 96)
    for number, image in enumerate(guided(positions=[4]).image_pyramid(images)):
        torch.testing.assert_close(image, F.avg_pool2d(images, 2**number))


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("family", DILATABLE)
@torch.no_grad()
def test_dilated_stages_get_images_that_fit_them(family: str, output_stride: int) -> None:
    model = guided(family, backbone={"output_stride": output_stride}, positions=[1, 2, 3, 4])
    features = model(torch.randn(1, 3, 70, 99))
    assert model.strides[-1] == output_stride
    assert features[-1].shape[-2:] == (math.ceil(70 / output_stride), math.ceil(99 / output_stride))
    expected = {8: [0, 1, 1, 1], 16: [0, 1, 2, 2]}
    assert [model.halvings[stage] for stage in (1, 2, 3, 4)] == expected[output_stride]
