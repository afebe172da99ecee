"""Paired changes: mean, t interval, p-value, and Holm's correction over a family of tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from scalarfid.intervals import half_width

LEVEL = 0.05
"""Probability of one or more false verdicts in a table."""
ROUNDING = 1e-12
"""Relative difference, or width of an interval, below which values count as equal."""


@dataclass(frozen=True)
class Paired:
    """Mean of n paired changes, its 95 % t interval and the two-sided p-value of a mean of zero.

    ``low``, ``high`` and ``p`` are None where there is nothing to judge by: n = 1, or no spread at all.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


def relative_changes(values: Sequence[float], references: Sequence[float]) -> list[float]:
    """100 (x − x_ref)/x_ref in %, pair by pair."""
    return [100.0 * (x - ref) / ref for x, ref in zip(values, references, strict=True)]


def absolute_changes(values: Sequence[float], references: Sequence[float]) -> list[float]:
    """Differences x − x_ref, pair by pair; zero where x and x_ref are equal but for rounding."""
    pairs = zip(values, references, strict=True)
    return [0.0 if math.isclose(x, ref, rel_tol=ROUNDING) else x - ref for x, ref in pairs]


def paired(changes: Sequence[float]) -> Paired:
    """Student's t for the mean d̄ of n changes: d̄ ± t(n−1, 97.5 %) s/√n.

    Equal changes have no spread to judge by and get no interval: seeds that agree to the last digit are copies.
    """
    n, mean = len(changes), float(np.mean(changes))
    interval = mean_interval(changes)
    if interval is None:
        return Paired(n, mean)
    error = float(np.std(changes, ddof=1)) / math.sqrt(n)
    p = 2.0 * float(stats.t.sf(abs(mean) / error, n - 1))
    return Paired(n, mean, *interval, p)


def pooled(samples: Sequence[Sequence[float]]) -> Paired:
    """Mean over K samples of their means d̄_k, each with equal weight: d̄ ± t(ν, 97.5 %) √v, v = Σ v_k.

    v_k = s_k²/(K² n_k), ν = v²/Σ v_k²/(n_k − 1) (Welch 1947, Satterthwaite 1946). Every sample has two values or more.
    """
    n, mean = sum(map(len, samples)), float(np.mean([np.mean(sample) for sample in samples]))
    sizes = np.array([len(sample) for sample in samples])
    parts = np.array([np.var(sample, ddof=1) for sample in samples]) / (len(samples) ** 2 * sizes)
    error = math.sqrt(parts.sum())
    if error <= ROUNDING * max(abs(value) for sample in samples for value in sample):
        return Paired(n, mean)
    freedom = parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum()
    half = float(stats.t.ppf(0.975, freedom)) * error
    return Paired(n, mean, mean - half, mean + half, 2.0 * float(stats.t.sf(abs(mean) / error, freedom)))


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Ends of the 95 % t interval of a mean; None for fewer than two values or values that do not differ."""
    mean, half = float(np.mean(values)), half_width(values)
    if len(values) < 2 or half <= ROUNDING * max(abs(value) for value in values):
        return None
    return mean - half, mean + half


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, max over j ≤ i of min(1, (m − j + 1) p_(j)) in ascending order (Holm 1979).

    They hold for any dependence between the tests.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    steps = np.minimum(1.0, factors * np.asarray(p_values, dtype=np.float64)[order])
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted.tolist()
