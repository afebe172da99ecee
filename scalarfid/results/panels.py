"""What figures are made of: panels of points with intervals, in one look, as SVG.

Most have one panel, so that a page can put them beside each other or, on a phone, beneath.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scalarfid.results.looks import Style
from scalarfid.results.paired import mean_interval

WIDTH, HEIGHT = 5.0, 3.7
"""Inches of a figure, and of a row of its panels."""
GRID = "0.92"
MEANS = "Small: seeds; large: their mean with its 95 % t interval"
BESIDE = 0.2
"""Distance of the seeds' points from the interval, in rows."""


@dataclass(frozen=True)
class Picture:
    """A figure to be drawn.

    Attributes:
        name: of the file, without suffix.
        title: above it.
        description: what it shows, in words.
        panels: each draws one; two in a row.
        height: of a row, in inches.
    """

    name: str
    title: str
    description: str
    panels: tuple[Callable[[Axes], None], ...]
    height: float = HEIGHT

    def svg(self) -> bytes:
        """Draw it; the same input gives the same bytes."""
        columns = min(len(self.panels), 2)
        rows = -(-len(self.panels) // columns)
        figure = Figure(figsize=(WIDTH, self.height * rows), layout="constrained")
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in every[len(self.panels) :]:
            axes.set_visible(False)
        for axes, draw in zip(every, self.panels, strict=False):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
            draw(axes)
        handles, labels = every[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7.5, frameon=False)
        if columns == 1:
            every[0].set_title(self.title, fontsize=9.5, loc="left")
        else:
            figure.suptitle(self.title, fontsize=9.5, x=0.02, ha="left")
        buffer = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": self.name}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()


def lines(axes: Axes, labels: Sequence[str], xlabel: str) -> None:
    """One line per label, the first at the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel=xlabel, ylim=(len(labels) - 0.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", color=GRID, linewidth=0.6)


def points(
    axes: Axes,
    values: Sequence[float],
    places: Sequence[float],
    look: Style,
    *,
    beside: float = 0.0,
    upright: bool = True,
    label: str | None = None,
) -> None:
    """Draw every value small and their mean large with its 95 % t interval.

    ``places`` are on the other axis, where the mean stands at their median; the small points are shifted there by
    ``beside``.
    """
    if not values:
        return

    def plot(at: Sequence[float], heights: Sequence[float], *line: str, **how: Any) -> None:
        axes.plot(*((at, heights) if upright else (heights, at)), *line, color=look.color, **how)

    place, mean, interval = float(np.median(places)), float(np.mean(values)), mean_interval(values)
    small = [place + beside for place in places]
    plot(small, values, linestyle="none", marker=look.marker, markersize=3.5, alpha=0.6, markeredgewidth=0, zorder=2)
    if interval:
        plot([place, place], interval, "-", linewidth=1.3, zorder=3)
    plot([place], [mean], linestyle="none", markersize=6, zorder=4, label=label, **look.point)


def explain_open(axes: Axes, looks: Iterable[Style]) -> None:
    """Say in the legend what open markers are, where there are any."""
    if not all(look.filled for look in looks):
        axes.plot([], [], "o", color="0.3", markerfacecolor="white", markersize=6, label="open: control")
