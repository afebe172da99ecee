"""95 % intervals: of means and slopes over blocks of a correlated record, of fractions, of rank correlations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, linregress, rankdata
from scipy.stats import t as student

Array = NDArray[np.float64]


def block_means(record: ArrayLike, blocks: int) -> Array:
    """Means over ``blocks`` consecutive blocks of (nearly) equal length [blocks,...]."""
    return np.array([part.mean(axis=0) for part in np.array_split(np.asarray(record, dtype=float), blocks)])


def half_width(values: ArrayLike) -> float:
    """Half of Student's interval of the mean of independent values, t₀.₉₇₅ s/√n; not finite for fewer than two."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def slope(x: ArrayLike, y: ArrayLike, blocks: int = 10) -> tuple[float, float]:
    """Slope dy/dx of a correlated record, and half its interval.

    A line through the means of blocks, which are independent where a block is longer than the correlations of the
    record; Student's t with blocks − 2 degrees of freedom.
    """
    fit = linregress(block_means(x, blocks), block_means(y, blocks))
    return float(fit.slope), float(student.ppf(0.975, blocks - 2) * fit.stderr)


def wilson(successes: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a fraction."""
    interval = binomtest(successes, of).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def rank_correlation(x: ArrayLike, y: ArrayLike, *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Spearman's ρ and its percentile bootstrap interval over the pairs; not finite where one side is constant."""
    pairs = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    drawn = pairs[:, np.random.default_rng(seed).integers(pairs.shape[1], size=(draws, pairs.shape[1]))]
    found = _spearman(*drawn)
    finite = found[np.isfinite(found)]
    low, high = np.quantile(finite, (0.025, 0.975)) if finite.size else (np.nan, np.nan)
    return float(_spearman(*pairs)), float(low), float(high)


def _spearman(x: Array, y: Array) -> Array:
    """Pearson's correlation of ranks along the last axis; ties have their mean rank."""
    a, b = (ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (rankdata(x, axis=-1), rankdata(y, axis=-1)))
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.divide((a * b).sum(axis=-1), scale, out=np.full_like(scale, np.nan), where=scale > 0)
