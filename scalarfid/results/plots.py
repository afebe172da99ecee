"""Parity plots: prediction against reference, on paper and nowhere else (no display, no global matplotlib state)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.files import replacing
from scalarfid.results.units import MEV, QUANTITIES, Quantity

MANY = 2000
"""From this number of points on, their density is drawn instead of the points."""

_AXES = {"energy": "(E − ΣE0)/N", "forces": "force component", "stress": "stress component"}

Points = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""(reference, prediction) by label, any equal shapes: energy per atom in eV, forces in eV/Å, stress in eV/Å³."""


def parity_plot(path: str | Path, points: Points, *, title: str | None = None) -> Path:
    """Draw one panel per label that has points, with MAE and RMSE in it, and write a PNG in one step.

    Args:
        path: of the PNG.
        points: ``{"energy": (reference, prediction), "forces": …, "stress": …}``; labels may be absent or empty.
        title: above the panels.

    Returns:
        The path.

    Raises:
        ScalarFidError: no label has points, shapes differ, or the file cannot be written.
    """
    panels = {q: pair for q in QUANTITIES if q.label in points and (pair := _pair(q, points[q.label]))[0].size}
    if not panels:
        raise ScalarFidError(f"Nothing to plot: no points in {sorted(points)}; give energy, forces or stress.")
    figure = Figure(figsize=(4.2 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (quantity, pair) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _panel(axes, quantity, *pair)
    if title:
        figure.suptitle(title, fontsize=10)
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _pair(quantity: Quantity, pair: tuple[ArrayLike, ArrayLike]) -> tuple[NDArray, NDArray]:
    reference, prediction = (np.asarray(values, dtype=np.float64) for values in pair)
    if reference.shape != prediction.shape:
        raise ScalarFidError(
            f"Parity of {quantity.label}: references {reference.shape}, predictions {prediction.shape}, not equal."
        )
    return reference.ravel(), prediction.ravel()


def _panel(axes: Axes, quantity: Quantity, reference: NDArray, prediction: NDArray) -> None:
    low, high = _limits(reference, prediction)
    if reference.size >= MANY:
        box = (low, high, low, high)
        axes.hexbin(reference, prediction, gridsize=80, extent=box, norm=LogNorm(), mincnt=1, cmap="viridis")
    else:
        axes.plot(reference, prediction, ".", markersize=4, alpha=0.6, color="#31688e")
    axes.plot([low, high], [low, high], "-", color="0.3", linewidth=0.8)
    delta = prediction - reference
    axes.text(
        0.04,
        0.96,
        f"MAE {MEV * np.abs(delta).mean():.3g} {quantity.shown_unit}\n"
        f"RMSE {MEV * np.sqrt(np.square(delta).mean()):.3g} {quantity.shown_unit}\n"
        f"{reference.size} values",
        transform=axes.transAxes,
        va="top",
        fontsize=8,
    )
    name = _AXES[quantity.label]
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set(xlabel=f"reference {name} ({quantity.unit})", ylabel=f"predicted {name} ({quantity.unit})")


def _limits(*values: NDArray) -> tuple[float, float]:
    """Common limits of both axes with a margin of 3 %, not empty even for equal values."""
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    margin = 0.03 * (high - low) or max(1e-3 * abs(high), 1e-6)
    return float(low - margin), float(high + margin)
