"""Which measure foretells stability: rank correlations over the cells of a sweep, with bootstrap intervals.

The claim of arXiv 2602.04861 is that the FSD of bond scans orders models by their stability in molecular dynamics
better than force errors do. Here every headline number and every test error is put to that test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scalarfid.intervals import rank_correlation
from scalarfid.results.answers import Measure, asked
from scalarfid.results.cells import Cell, canonical
from scalarfid.results.groups import Group, alike
from scalarfid.results.sheets import Sheet
from scalarfid.results.units import QUANTITIES

FAILED = Measure("stability", "failed", "", "less")
LEAST = 5
"""Cells; fewer have no rank correlation worth a number."""
NOTES = [
    "Spearman's ρ of each measure with the fraction of runs that survive, over all cells of a set that answered with "
    "the same settings, whatever their arm, seed or backbone; 95 % percentile interval of 2000 bootstrap draws of "
    f"cells, {LEAST} or more. Negative: what is worse by the measure survives less. Not corrected for their number."
]


@dataclass(frozen=True)
class Foretold:
    """Spearman's ρ of one measure with the surviving fraction over ``cells`` cells, and its 95 % interval."""

    measure: str
    cells: int
    rho: float
    low: float
    high: float


def foretold(cells: Sequence[Cell]) -> list[Foretold]:
    """Rank correlations of all measures with stability, over cells of one set; the largest |ρ| first.

    A measure counts where it has a value, at five cells or more, and is not constant.
    """
    questions = asked(cells)
    failed = {
        cell: answer.value(FAILED)
        for question in questions
        for cell, answer in question.answers.items()
        if question.name == FAILED.question and answer.value(FAILED) is not None
    }
    measures = {
        measure.title: {cell: question.deviation(cell, measure) for cell in failed}
        for question in questions
        for measure in question.measures
        if measure != FAILED
    } | dict(_errors(list(failed)))
    found = [_correlated(name, values, failed) for name, values in measures.items()]
    return sorted((one for one in found if one), key=lambda one: -abs(one.rho))


def foretold_sheets(groups: Sequence[Group]) -> Iterator[Sheet]:
    """A table for every set whose cells were asked for their stability, over all backbones."""
    header = ["measure", "cells", "ρ with survival", "95 % interval"]
    for same in alike(groups, lambda group: canonical([group.dataset, group.any_cell.get("fingerprint")])):
        found = foretold([cell for group in same for cell in group.cells])
        rows = [[one.measure, str(one.cells), f"{one.rho:+.2f}", f"{one.low:+.2f} … {one.high:+.2f}"] for one in found]
        rows = [[cell.replace("-", "−") if i > 1 else cell for i, cell in enumerate(row)] for row in rows]
        yield Sheet(f"What foretells stability: {same[0].dataset}", header, rows, NOTES)


def _errors(cells: Sequence[Cell]) -> Iterator[tuple[str, dict[Cell, float | None]]]:
    splits = dict.fromkeys(name for cell in cells for name in cell.record["metrics"] if name not in ("train", "val"))
    for split in splits:
        for quantity in QUANTITIES:
            errors = {cell: cell.error(split, f"{quantity.metric}_mae") for cell in cells}
            yield f"{split}: {quantity.symbol} MAE ({quantity.unit})", errors


def _correlated(name: str, values: dict[Cell, float | None], failed: dict[Cell, float]) -> Foretold | None:
    known = [(value, -failed[cell]) for cell, value in values.items() if value is not None]
    if len(known) < LEAST:
        return None
    rho, low, high = rank_correlation(*np.array(known).T)
    return Foretold(name, len(known), rho, low, high) if np.isfinite(rho) else None
