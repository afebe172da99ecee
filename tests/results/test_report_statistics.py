"""Paired tests and Holm's correction against scipy and a published example."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from scalarfid.results.paired import (
    Paired,
    absolute_changes,
    holm,
    mean_interval,
    paired,
    pooled,
    relative_changes,
)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_and_p_are_those_of_scipy(n):
    changes = np.random.default_rng(n).normal(-3.0, 5.0, n)
    oracle = stats.ttest_1samp(changes, 0.0)
    ends = oracle.confidence_interval(0.95)
    result = paired(changes.tolist())
    assert result.p == pytest.approx(oracle.pvalue)
    assert (result.low, result.high) == pytest.approx((ends.low, ends.high))
    assert mean_interval(changes.tolist()) == (result.low, result.high)


@pytest.mark.parametrize("changes", [[-5.0], [-5.0, -5.0, -5.0], [0.0, 0.0], [0.1 + 0.2, 0.3]])
def test_without_spread_there_is_no_interval_and_no_warning(changes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired(changes) == Paired(len(changes), float(np.mean(changes)))


def test_one_sample_pooled_is_that_sample():
    changes = [-1.0, 2.0, 4.0]
    alone, also = paired(changes), pooled([changes])
    assert (also.low, also.high, also.p) == pytest.approx((alone.low, alone.high, alone.p))


@pytest.mark.parametrize("spreads", [((2.0, 5), (3.0, 5), (1.0, 3), (5.0, 5)), ((1.0, 5), (6.0, 3), (2.0, 4))])
def test_the_pooled_interval_covers_the_mean_nearly_as_often_as_it_says(spreads):
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        result = pooled([rng.normal(0.0, spread, n).tolist() for spread, n in spreads])
        covered += result.low < 0 < result.high
    assert 0.92 < covered / 2000 < 0.98  # Welch's approximation is short by 2 % where three values have most spread


def test_samples_without_spread_have_no_pooled_interval():
    assert pooled([[1.0, 1.0], [2.0, 2.0]]) == Paired(4, 1.5)


def test_changes_are_relative_to_the_reference_of_the_same_pair():
    assert relative_changes([1.0, 3.0], [2.0, 2.0]) == [-50.0, 50.0]
    assert absolute_changes([1.0, 0.1 + 0.2], [2.0, 0.3]) == [-1.0, 0.0]


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_keeps_the_order_and_is_never_below_the_plain_p():
    p = np.random.default_rng(0).uniform(size=20)
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
