"""Means, spreads and t-intervals, against the standard library, scipy.stats and simulated coverage."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline_src.reporting.intervals import paired_difference, summarise

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=8)


@given(VALUES)
def test_mean_and_sd_are_those_of_the_standard_library(values):
    summary = summarise(values)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert summary.sd == pytest.approx(statistics.stdev(values), abs=1e-6)


@given(VALUES, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_scipys_interval_of_the_mean(values, confidence):
    summary = summarise(values, confidence)
    if summary.sd < 1e-6:
        assert summary.interval == pytest.approx((summary.mean, summary.mean), abs=1e-4)
        return
    expected = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
    assert summary.interval == pytest.approx(expected, abs=1e-6)


def test_a_single_value_has_no_spread_and_no_interval():
    summary = summarise([63.79])
    assert (summary.mean, summary.n, summary.sd, summary.interval) == (63.79, 1, None, None)
    assert not summary.excludes_zero()


def test_five_values_by_hand():
    """t(0.975, 4) = 2.776 from a printed table."""
    summary = summarise([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert summary.interval == pytest.approx((3 - half, 3 + half), abs=1e-3)


def test_intervals_cover_the_true_mean_as_often_as_they_claim():
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 2.0, (2000, 5))
    covered = 0
    for sample in samples:
        low, high = summarise(sample.tolist()).interval
        covered += low <= 3.0 <= high
    assert 0.93 < covered / 2000 < 0.97


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_nothing_and_what_is_not_finite_are_refused(values):
    with pytest.raises(ValueError, match="values"):
        summarise(values)


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=2, max_size=6))
def test_a_paired_difference_is_the_one_sample_test_of_the_differences(pairs):
    ours = {seed: a for seed, (a, _) in enumerate(pairs)}
    baseline = {seed: b for seed, (_, b) in enumerate(pairs)}
    summary = paired_difference(ours, baseline)
    differences = [a - b for a, b in pairs]
    if statistics.stdev(differences) < 1e-6:
        return
    test = stats.ttest_rel([a for a, _ in pairs], [b for _, b in pairs]).confidence_interval(0.95)
    assert summary.interval == pytest.approx((test.low, test.high), abs=1e-6)


def test_only_seeds_that_both_have_are_paired():
    summary = paired_difference({0: 5.0, 1: 7.0, 9: 100.0}, {1: 4.0, 0: 1.0, 3: -100.0})
    assert (summary.n, summary.mean) == (2, 3.5)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_pairing_removes_what_the_seeds_have_in_common():
    shift = [0.0, 10.0, -7.0, 3.0]
    ours = {seed: 70.0 + s + 0.01 * seed for seed, s in enumerate(shift)}
    baseline = {seed: 69.0 + s for seed, s in enumerate(shift)}
    assert paired_difference(ours, baseline).excludes_zero()
    assert not summarise([a - 69.5 for a in ours.values()]).excludes_zero()
