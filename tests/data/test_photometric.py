"""Photometric distortion against colorsys, Pillow and torchvision."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from pipeline_src.data.segmentation.photometric import (
    Distortion,
    DistortionRange,
    distort,
    hsv_to_rgb,
    rgb_to_hsv,
    scale_levels,
)

CORNERS = np.array(np.meshgrid(*[[0, 1, 127, 128, 254, 255]] * 3), dtype=np.uint8).reshape(3, 8, 27)


def pixels(seed=0, size=(60, 70)):
    """Random colours, greys and near-greys, and the corners of the colour cube."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    greys = np.repeat(rng.integers(0, 256, (1, 10, size[1]), dtype=np.uint8), 3, axis=0)
    near = (greys.clip(0, 253) + rng.integers(0, 3, greys.shape)).astype(np.uint8)
    return np.concatenate([colours, greys, near], axis=1)


def cases():
    return [pixels(seed) for seed in range(3)] + [CORNERS]


def by_colorsys(function, planes):
    """Apply a colorsys function of 0..1 to every pixel of `(3, H, W)`."""
    flat = [function(*pixel) for pixel in planes.reshape(3, -1).T.tolist()]
    return np.array(flat).T.reshape(planes.shape)


def circular(difference, period):
    return np.abs((difference + period / 2) % period - period / 2)


@pytest.mark.parametrize("rgb", cases())
def test_rgb_to_hsv_is_colorsys_rounded_to_the_nearest_level(rgb):
    expected = by_colorsys(colorsys.rgb_to_hsv, rgb / 255)
    hue, saturation, value = rgb_to_hsv(rgb).astype(float)
    assert hue.max() < 180
    assert circular(hue - 180 * expected[0], 180).max() <= 0.5 + 1e-9
    assert np.abs(saturation - 255 * expected[1]).max() <= 0.5 + 1e-9
    assert np.array_equal(value, rgb.max(axis=0))


def test_hsv_to_rgb_is_colorsys_rounded_to_the_nearest_level():
    rng = np.random.default_rng(1)
    hsv = rng.integers(0, 256, (3, 70, 180), dtype=np.uint8)
    hsv[0] = np.arange(180)
    hsv[1, :10], hsv[2, 10:20], hsv[1, 20:30] = 0, 0, 255
    expected = 255 * by_colorsys(colorsys.hsv_to_rgb, hsv / np.array([180, 255, 255])[:, None, None])
    assert np.abs(hsv_to_rgb(hsv) - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("rgb", cases())
def test_conversion_agrees_with_pillow_whose_hue_has_256_steps(rgb):
    pillow = (
        np.asarray(Image.fromarray(rgb.transpose(1, 2, 0)).convert("HSV")).transpose(2, 0, 1).astype(float)
    )
    hue, saturation, value = rgb_to_hsv(rgb).astype(float)
    # Pillow cuts off instead of rounding: up to one of its own steps lower
    assert circular(hue - pillow[0] * 180 / 255, 180).max() <= 0.5 + 180 / 255 + 1e-9
    assert np.abs(saturation - pillow[1]).max() <= 1 and np.array_equal(value, pillow[2])


@pytest.mark.parametrize("rgb", cases())
def test_a_round_trip_is_off_by_no_more_than_half_a_step_of_hue(rgb):
    # chroma x half a step / 60 degrees = 255 / 60 = 4.25 levels, and the roundings
    assert np.abs(hsv_to_rgb(rgb_to_hsv(rgb)).astype(int) - rgb).max() <= 5
    grey = rgb[:, (rgb.max(axis=0) == rgb.min(axis=0))]
    assert np.array_equal(hsv_to_rgb(rgb_to_hsv(grey[:, None])), grey[:, None])


@pytest.mark.parametrize("shift", [-18, -7, 5, 17, 90])
def test_hue_agrees_with_torchvision_which_keeps_fractions_of_a_step(shift):
    rgb = pixels(4)
    found = distort(rgb, Distortion(hue=shift)).astype(float)
    expected = F.adjust_hue(torch.from_numpy(rgb / 255), shift / 180).numpy() * 255
    # theirs has no 8-bit HSV in between: the same bound as of a round trip
    assert np.abs(found - expected).max() <= 5.5
    assert abs((found - expected).mean()) < 0.1


@pytest.mark.parametrize("factor", [0.5, 0.83, 1.27, 1.5])
def test_saturation_is_scaled_in_hsv(factor):
    # torchvision's adjust_saturation blends with the luma instead: another operator, no comparison
    rgb = pixels(5)
    found = distort(rgb, Distortion(saturation=factor)).astype(float)

    def scaled(red, green, blue):
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        return colorsys.hsv_to_rgb(hue, min(1, saturation * factor), value)

    expected = 255 * by_colorsys(scaled, rgb / 255)
    # hue rounded: as a round trip; saturation rounded, scaled and cut off: up to 1.75 levels more
    assert np.abs(found - expected).max() <= 4.25 * max(1, factor) + 1.75 + 0.5
    assert np.array_equal(found.max(axis=0), rgb.max(axis=0))


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 31.7), (1.0, -12.2), (0.5, 0), (1.4999, 0)])
def test_levels_are_scaled_in_float32_clipped_and_cut_off(factor, offset):
    rgb = pixels(6)
    expected = np.clip(rgb.astype(np.float32) * np.float32(factor) + np.float32(offset), 0, 255)
    found = scale_levels(rgb, factor, offset)
    assert found.dtype == np.uint8 and np.array_equal(found, np.floor(expected))


def test_nothing_drawn_changes_nothing_and_the_order_is_that_of_the_contrast():
    rgb = pixels(7)
    assert np.array_equal(distort(rgb, Distortion()), rgb)
    amounts = {"brightness": 20.0, "contrast": 1.4, "saturation": 0.7, "hue": -9}
    first = distort(rgb, Distortion(**amounts, contrast_first=True))
    by_steps = rgb
    for key in ("brightness", "contrast", "saturation", "hue"):
        by_steps = distort(by_steps, Distortion(**{key: amounts[key]}))
    assert np.array_equal(first, by_steps)
    by_steps = rgb
    for key in ("brightness", "saturation", "hue", "contrast"):
        by_steps = distort(by_steps, Distortion(**{key: amounts[key]}))
    last = distort(rgb, Distortion(**amounts, contrast_first=False))
    assert np.array_equal(last, by_steps) and not np.array_equal(first, last)


def test_amounts_are_uniform_and_each_happens_half_of_the_time():
    rng = np.random.default_rng(3)
    draws = [DistortionRange().draw(rng) for _ in range(4000)]
    for name, low, high in (
        ("brightness", -32, 32), ("contrast", 0.5, 1.5), ("saturation", 0.5, 1.5), ("hue", -18, 17)
    ):  # fmt: skip
        values = np.array([getattr(draw, name) for draw in draws if getattr(draw, name) is not None])
        assert 1870 < len(values) < 2130  # 2000 with a standard deviation of 32
        assert low <= values.min() and values.max() <= high
        spread = (high - low) / 12**0.5
        assert abs(values.mean() - (low + high) / 2) < 4.5 * spread / 2000**0.5
        assert abs(values.std() / spread - 1) < 0.06
    hues = {draw.hue for draw in draws} - {None}
    assert hues == set(range(-18, 18)) and all(type(hue) is int for hue in hues)
    assert 1870 < sum(draw.contrast_first for draw in draws) < 2130
    together = sum(draw.contrast is not None and draw.contrast_first for draw in draws)
    assert 880 < together < 1120  # both independent: 1000 with a standard deviation of 27
