"""Exact moments of upsampled maps, against the maps themselves and against closed forms."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_src.calibration import upsampled_moments as moments
from pipeline_src.calibration.upsampled_moments import (
    Moments,
    interior_variance_factor,
    merge_all,
    upsampled_moments,
    variance_factor,
)

SIZES = [
    ((5, 7), (13, 20)), ((8, 8), (64, 64)), ((1, 1), (9, 4)), ((6, 1), (7, 5)), ((9, 4), (4, 9)),
    ((7, 7), (7, 7)), ((33, 17), (50, 64)), ((2, 3), (1, 1)), ((4, 5), (4, 40)), ((3, 3), (24, 3)),
]  # fmt: skip


def reference(x: torch.Tensor, size: tuple[int, int], align_corners: bool) -> tuple[float, float]:
    upsampled = F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
    mean = upsampled.mean()
    return float(mean), float(((upsampled - mean) ** 2).mean())


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("small", "large"), SIZES)
@pytest.mark.parametrize("seed", [0, 1])
def test_moments_are_those_of_the_upsampled_map(small, large, align_corners, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 4, *small, generator=generator, dtype=torch.float64) * 3 + 5
    mean, variance = reference(x, large, align_corners)
    found = upsampled_moments(x, large, align_corners)
    assert found.count == 12 * large[0] * large[1]
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.variance == pytest.approx(variance, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    small=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    large=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    align_corners=st.booleans(),
)
def test_any_ratio(small, large, align_corners):
    x = torch.rand(2, 2, *small, dtype=torch.float64)
    mean, variance = reference(x, large, align_corners)
    found = upsampled_moments(x, large, align_corners)
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.variance == pytest.approx(variance, rel=1e-9, abs=1e-15)


def test_a_large_mean_does_not_swallow_the_variance():
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64) * 1e-3 + 1e6
    _, variance = reference(x, (32, 32), False)
    assert upsampled_moments(x, (32, 32)).variance == pytest.approx(variance, rel=1e-6)


def test_chunks_change_nothing_but_the_last_bits(monkeypatch):
    x = torch.randn(3, 5, 9, 11)
    whole = upsampled_moments(x, (20, 30))
    monkeypatch.setattr(moments, "CHUNK", 100)
    pieces = upsampled_moments(x, (20, 30))
    assert pieces.count == whole.count
    assert pieces.mean == pytest.approx(whole.mean, rel=1e-12)
    assert pieces.m2 == pytest.approx(whole.m2, rel=1e-12)


def test_merging_is_as_if_all_values_were_one_set():
    generator = np.random.default_rng(0)
    parts = [generator.normal(3, 2, size) for size in (1, 7, 50, 400)]
    merged = merge_all(Moments(len(p), float(p.mean()), float(((p - p.mean()) ** 2).sum())) for p in parts)
    everything = np.concatenate(parts)
    assert merged.count == len(everything)
    assert merged.mean == pytest.approx(everything.mean(), rel=1e-12)
    assert merged.std == pytest.approx(everything.std(), rel=1e-12)
    assert Moments().merge(merged) == merged == merged.merge(Moments())
    assert math.isnan(Moments().std)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(2, 0.3906), (3, 0.4952), (4, 0.4307), (8, 0.4410), (16, 0.4436)]
)
def test_interior_closed_form(ratio, expected):
    assert interior_variance_factor(ratio) ** 2 == pytest.approx(expected, abs=6e-5)
    # a long axis is nearly all interior
    assert variance_factor(20_000, 20_000 * ratio) == pytest.approx(interior_variance_factor(ratio), rel=1e-4)


@pytest.mark.parametrize(("ratio", "expected"), [(2, 0.39430), (4, 0.43420), (8, 0.44447)])
def test_finite_closed_form_of_the_papers_size(ratio, expected):
    assert variance_factor(128, 128 * ratio) ** 2 == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize("align_corners", [False, True])
def test_variance_factor_is_the_mean_over_independent_maps(align_corners):
    x = torch.randn(2000, 4, 6, 5, dtype=torch.float64)
    expected = variance_factor(6, 14, align_corners) * variance_factor(5, 11, align_corners)
    assert upsampled_moments(x, (14, 11), align_corners).variance == pytest.approx(expected, rel=0.02)
