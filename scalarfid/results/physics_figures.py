"""Figures of physics: one a diagnostic, a panel a headline number, every seed a point, the reference a line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from matplotlib.axes import Axes

from scalarfid.results.answers import Asked, Measure
from scalarfid.results.artefacts import Physics
from scalarfid.results.looks import Style, styles
from scalarfid.results.panels import BESIDE, MEANS, Picture, explain_open, lines, points

ROW, MARGIN = 0.26, 0.75
"""Inches of an arm's line, and of what a panel has besides."""


def physics_pictures(found: Physics) -> list[Picture]:
    """One figure a question that was answered."""
    look, height = styles(found.group), MARGIN + ROW * len(found.group.arms)
    pictures = []
    for question in found.asked:
        drawn = [measure for measure in question.measures if any(_values(found, question, measure).values())]
        against = f"{question.reference} " if question.reference else ""
        panels = tuple(partial(_draw, _values(found, question, measure), question, measure, look) for measure in drawn)
        if panels:
            pictures.append(
                Picture(
                    f"physics-{question.name}",
                    f"Physics, {question.name}",
                    f"{MEANS} (arms not paired), open for controls. "
                    f"Broken line: the reference {against}where it has a number, or zero.",
                    panels,
                    height,
                )
            )
    return pictures


def _values(found: Physics, question: Asked, measure: Measure) -> dict[str, list[float]]:
    """Numbers by arm."""
    return {arm.label: list(question.values(measure, arm.cells).values()) for arm in found.group.arms}


def _draw(
    values: Mapping[str, list[float]], question: Asked, measure: Measure, look: Mapping[str, Style], axes: Axes
) -> None:
    truth = question.truth(measure)
    if truth is not None or measure.better != "reference":
        axes.axvline(truth or 0.0, color="0.4", linewidth=0.9, linestyle="--", zorder=0)
    for i, (label, known) in enumerate(values.items()):
        points(axes, known, [i] * len(known), look[label], upright=False, beside=BESIDE)
    explain_open(axes, look.values())
    lines(axes, list(values), measure.name + (f" ({measure.unit})" if measure.unit else ""))
    axes.xaxis.label.set_size(8)
    axes.locator_params(axis="x", nbins=4)
