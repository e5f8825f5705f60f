"""Where a Deep Feature Pyramid splits a network, and what it refuses, without torch."""

import math

import pytest

from pipeline_src.errors import InputError
from pipeline_src.models.fusion.dfp_options import check_depth, check_scales, scaled_side, split_index
from tests.models.miniatures import miniature

BEFORE, AFTER = "before_downsampling", "after_downsampling"

LAST_SINGLE_SCALE = {
    # family: {depth: (last segment at one scale for BEFORE, for AFTER)}
    "resnet": {
        5: (None, None), 4: ("conv1", "conv1"), 3: ("layer1", "maxpool"),
        2: ("layer2", "layer2"), 1: ("layer3", "layer3"),
    },
    "mobilenetv2": {
        5: (None, None), 4: ("blocks0", "stem"), 3: ("blocks1", "blocks1"),
        2: ("blocks2", "blocks2"), 1: ("blocks4", "blocks3"),
    },
    "swin": {
        5: (None, None), 3: ("stage1", "stem"), 2: ("stage2", "stage2"), 1: ("stage3", "stage3"),
    },
}  # fmt: skip


@pytest.mark.parametrize("family", LAST_SINGLE_SCALE)
def test_split_positions(family: str) -> None:
    segments = miniature(family).segments
    for depth, names in LAST_SINGLE_SCALE[family].items():
        for split, expected in zip((BEFORE, AFTER), names, strict=True):
            index = split_index(segments, depth, split)
            assert (segments[index - 1].name if index else None) == expected


@pytest.mark.parametrize("family", ["resnet", "convnext", "mobilenetv2"])
def test_a_dilated_stage_keeps_its_nominal_position(family: str) -> None:
    plain, dilated = miniature(family).segments, miniature(family, output_stride=8).segments
    for depth in (5, 3, 2, 1):
        for split in (BEFORE, AFTER):
            assert split_index(plain, depth, split) == split_index(dilated, depth, split)


@pytest.mark.parametrize("split", [BEFORE, AFTER])
def test_at_depth_0_no_segment_is_multi_scale(split: str) -> None:
    for segments in (miniature("resnet").segments, miniature("swin").segments):
        assert split_index(segments, 0, split) == len(segments)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_every_depth_fits_a_stem_of_stride_2(depth: int) -> None:
    check_depth(depth, stem_stride=2)
    if depth != 4:
        check_depth(depth, stem_stride=4)


def test_depth_4_is_refused_for_a_patch_stem() -> None:
    message = r"model.pyramid.depth: 4: a stem that strides by 4 cannot be split; allowed: 1, 2, 3, 5, or 0"
    with pytest.raises(InputError, match=message):
        check_depth(4, stem_stride=4, key="model.pyramid.depth")
    for family in ("convnext", "swin", "twins"):
        with pytest.raises(InputError, match="stem that strides by 4"):
            split_index(miniature(family).segments, 4)


@pytest.mark.parametrize("depth", [-1, 0, 6])
def test_a_depth_out_of_range_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match=f"depth: {depth}: not a depth of DFP; allowed: 1, 2, 3, 4, 5, or 0"):
        check_depth(depth, stem_stride=2)


def test_a_network_that_ends_before_its_multi_scale_part_is_refused() -> None:
    with pytest.raises(InputError, match="depth: 1: the backbone ends at stride 8"):
        split_index(miniature("resnet", out_levels=[3]).segments, 1)


@pytest.mark.parametrize("scales", [[], [1.0, 0.0], [-0.5], [float("nan")], [float("inf")]])
def test_scales_must_be_positive_numbers(scales: list[float]) -> None:
    with pytest.raises(InputError, match="at least one scale, each a number above 0"):
        check_scales(scales)


def test_scaled_sides_round_halves_up_and_respect_the_minimum() -> None:
    assert [scaled_side(side, 0.5) for side in (1, 2, 3, 5, 7, 8)] == [1, 1, 2, 3, 4, 4]
    assert [scaled_side(side, 0.75) for side in (1, 2, 10, 13)] == [1, 2, 8, 10]
    assert scaled_side(10, 0.01) == 1
    assert scaled_side(10, 0.5, minimum=8) == 8
    assert scaled_side(33, 1.0) == 33


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="split: 'middle'; allowed: before_downsampling, after_downsampling"):
        split_index(miniature("resnet").segments, 2, "middle")


@pytest.mark.parametrize("scale", [1.0, 0.75, 0.5, 0.625, 1.5, 0.3, 1 / 3])
def test_a_scaled_side_is_the_product_with_halves_rounded_up(scale):
    # most scales are computed in whole numbers, so that an exported program can
    for side in range(1, 2000):
        assert scaled_side(side, scale, 2) == max(2, math.floor(side * scale + 0.5))
