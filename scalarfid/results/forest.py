"""All groups in one figure a label: the change against the bare model and against the control, a line a group.

A forest plot, as meta-analyses have it; beneath the groups, what all sets of a backbone say together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes

from scalarfid.results.comparison import Comparison, foremost
from scalarfid.results.figures import NAMES
from scalarfid.results.groups import BARE, Group, alike
from scalarfid.results.looks import STYLES
from scalarfid.results.matched import Matched
from scalarfid.results.panels import Picture, lines
from scalarfid.results.pooled import Pooled
from scalarfid.results.units import QUANTITIES, Quantity

FURTHEST = 40.0
"""% of change at either end of the axis, at most: what lies further leaves the figure."""
DESCRIPTION = (
    "Mean with its 95 % interval over n seeds; beneath, the mean of all sets. Grey: the paper's claim, about mace "
    f"against none. Star: a verdict that holds after Holm's correction. The axis ends at ±{FURTHEST:g} % at the latest."
)
APART = 0.17
"""Distance of the two intervals of a line from its middle, in lines."""


@dataclass(frozen=True)
class Line:
    """What is said of one arm: on one set, or on all sets of a backbone, by one row or two."""

    name: str
    rows: list[Matched]
    claim: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """Name, arm and number of seeds."""
        return f"{self.name}, {self.rows[0].arm.label}, n = {self.rows[0].result.n}"


def forests(found: Sequence[tuple[Group, Sequence[Comparison]]], pooled: Sequence[Pooled]) -> list[Picture]:
    """One figure a label of which several groups have comparisons; forces first."""
    pictures = []
    for quantity in sorted(QUANTITIES, key=lambda quantity: quantity.label != "forces"):
        groups = [*_of_groups(found, quantity)]
        shown = {row.arm.label for line in groups for row in line.rows}
        together = _of_all([row for row in pooled if row.quantity == quantity and row.arm.label in shown])
        if len(groups) > 1:
            title = f"Change of test {NAMES[quantity.label]} MAE, all groups"
            panels, height = (partial(_draw, groups, together),), 1.3 + 0.24 * len(groups + together)
            pictures.append(Picture(f"change-{quantity.label}", title, DESCRIPTION, panels, height))
    return pictures


def _of_groups(found: Sequence[tuple[Group, Sequence[Comparison]]], quantity: Quantity) -> Iterator[Line]:
    for group, compared in found:
        rows = [row for row in foremost(group, compared) if row.quantity == quantity]
        for about in alike(rows, lambda row: row.arm.label):
            claim = next((row.claim for row in about if row.claim), None)
            yield Line(f"{group.dataset} · {group.backbone}", about, claim)


def _of_all(rows: Sequence[Pooled]) -> list[Line]:
    """A line for every backbone, with its sizes, and arm; one for each reference where sets lack one of them."""
    return [
        Line(f"all {len(about[0].rows)} sets · {about[0].backbone}", about)
        for about in alike(rows, lambda row: (row.model, row.arm.label, len(row.rows)))
    ]


def _draw(groups: Sequence[Line], together: Sequence[Line], axes: Axes) -> None:
    every, ends, told = [*groups, *together], [0.0], []
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    axes.axhline(len(groups) - 0.5, color="0.4", linewidth=0.8)
    for i, line in enumerate(every):
        if line.claim:
            axes.barh(i, line.claim[1] - line.claim[0], left=line.claim[0], height=0.8, color="0.87", zorder=0)
            ends += line.claim
        for row in line.rows:
            bare = row.reference.label == BARE
            place, look, result = i + (-APART if bare else APART), STYLES[BARE if bare else "mlp"], row.result
            ends += [end for end in (result.low, result.mean, result.high) if end is not None]
            told += [(result.mean, place - APART)] if row.told else []
            if result.low is not None:
                axes.plot([result.low, result.high], [place, place], color=look.color, linewidth=1.2)
            axes.plot([result.mean], [place], linestyle="none", markersize=4.5, color=look.color, **look.point)
    if told:
        axes.plot(*zip(*told, strict=True), "*", color="black", markersize=5, label="verdict holds after Holm")
    for label, look in (("against none", STYLES[BARE]), ("against the control", STYLES["mlp"])):
        axes.plot([], [], linestyle="-", color=look.color, label=label, **look.point)
    lines(axes, [line.label for line in every], "change of the MAE (%), negative is better")
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlim(max(-FURTHEST, min(ends) - 1), min(FURTHEST, max(ends) + 1))
