"""Figures of a report: learning curves, errors and changes with intervals, cost, where in a structure errors are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from scalarfid.results.comparison import Comparison, quantities
from scalarfid.results.cost import conditions
from scalarfid.results.groups import Group
from scalarfid.results.looks import Style, styles
from scalarfid.results.panels import BESIDE, GRID, MEANS, Picture, explain_open, lines, points
from scalarfid.results.units import MEV, QUANTITIES, Quantity

NAMES = {"energy": "energy", "forces": "force", "stress": "stress"}
BINS = {
    "coordination": "coordination number of the atom",
    "element": "element",
    "nearest_neighbour": "distance to the nearest neighbour (Å, lower end of bin)",
}
EARLY = 0.05
"""Fraction of the epochs whose errors may leave the figure of learning curves."""
MANY = 8
"""Bins from which on their labels are set small."""
SPREAD = 0.3
"""Width over which the arms of one bin are laid out, on each side, in bins."""


@dataclass(frozen=True)
class Cost:
    """A number of a summary that an error is drawn against: where it is, in which unit, what it is called."""

    keys: tuple[str, ...]
    unit: float
    name: str
    label: str


COSTS = {
    "flops": Cost(("flops", "total"), 1e6, "FLOPs", "FLOPs of one frame at inference (10⁶)"),
    "time": Cost(("training_time_s",), 1.0, "training time", "training time (s)"),
}


@dataclass(frozen=True)
class View:
    """What is looked at: a group, the style of its arms, a test split, and what titles add to name it."""

    group: Group
    style: Mapping[str, Style]
    split: str
    suffix: str


def pictures(group: Group, rows: Sequence[Comparison]) -> list[Picture]:
    """Every figure of a group for which its cells have numbers."""
    look = styles(group)
    found: list[Picture] = []
    for split in group.splits:
        view = View(group, look, split, f", {split}" if len(group.splits) > 1 else "")
        for quantity in sorted(quantities(group, split), key=lambda quantity: quantity.label != "forces"):
            about = [row for row in rows if row.quantity == quantity and row.split == split]
            found += list(_errors(view, quantity, about))
        found += [*_costs(view), *_places(view)]
    return [*found, *_curves(group, look)]


def _curves(group: Group, style: Mapping[str, Style]) -> Iterator[Picture]:
    for quantity in QUANTITIES:
        key = f"val/{quantity.metric}_mae"
        if any(_curve(cell.get("history"), key)[0].size for cell in group.cells):
            yield Picture(
                f"curve-{quantity.label}",
                f"Learning curves, {NAMES[quantity.label]}",
                f"Validation {NAMES[quantity.label]} MAE by epoch. Thin: seeds; thick: their geometric mean.",
                (partial(_draw_curves, group, style, quantity),),
            )


def _errors(view: View, quantity: Quantity, rows: Sequence[Comparison]) -> Iterator[Picture]:
    name = NAMES[quantity.label]
    if rows:
        claim = " Grey band: the paper's claim." if any(row.claim for row in rows) else ""
        yield Picture(
            f"{view.split}-change-{quantity.label}",
            f"Change of test {name} MAE, paired by seed{view.suffix}",
            f"{MEANS}, open for controls. Star: a verdict that holds after Holm's correction.{claim}",
            (partial(_draw_changes, view.style, rows),),
        )
    yield Picture(
        f"{view.split}-error-{quantity.label}",
        f"Test {name} MAE by arm{view.suffix}",
        f"{MEANS} (arms not paired), open for controls.",
        (partial(_draw_errors, view, quantity),),
    )


def _costs(view: View) -> Iterator[Picture]:
    for name, cost in COSTS.items():
        comparable = name != "time" or len({conditions(cell) for cell in view.group.cells}) == 1
        if comparable and any(cell.get(*cost.keys) for cell in view.group.cells):
            yield Picture(
                f"{view.split}-cost-{name}",
                f"Force MAE against {cost.name}{view.suffix}",
                f"{MEANS}, at their median {cost.name}; open: controls.",
                (partial(_draw_cost, view, cost),),
            )


def _places(view: View) -> Iterator[Picture]:
    for kind in BINS:
        if any(cell.get("binned", view.split, kind) for cell in view.group.cells):
            yield Picture(
                f"{view.split}-by-{kind}",
                f"Force MAE by {kind.replace('_', ' ')}{view.suffix}",
                f"{MEANS}, open for controls. In brackets: atoms in the test frames.",
                (partial(_draw_bins, view, kind),),
            )


def _draw_curves(group: Group, style: Mapping[str, Style], quantity: Quantity, axes: Axes) -> None:
    key = f"val/{quantity.metric}_mae"
    for arm in group.arms:
        look = style[arm.label]
        curves = [_curve(cell.get("history"), key) for cell in arm.cells.values()]
        for epochs, values in curves:
            axes.plot(epochs, MEV * values, color=look.color, linewidth=0.6, alpha=0.35)
        epochs = sorted(set.intersection(*({*epochs.tolist()} for epochs, _ in curves)))
        logs = [np.log(values[np.isin(own, epochs)]) for own, values in curves]
        if epochs:
            mean = MEV * np.exp(np.mean(logs, axis=0))
            axes.plot(epochs, mean, look.line, color=look.color, linewidth=1.7, label=arm.label)
    axes.set(xlabel="epoch", ylabel=f"validation {NAMES[quantity.label]} MAE ({quantity.shown_unit})", yscale="log")
    axes.set_ylim(top=_start(group, key))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=GRID, linewidth=0.6)


def _start(group: Group, key: str) -> float | None:
    """Where the axis of learning curves ends: above all errors but those of the first twentieth of the epochs."""
    curves = [_curve(cell.get("history"), key) for cell in group.cells]
    later = [MEV * values[epochs >= EARLY * epochs[-1]].max() for epochs, values in curves if epochs.size]
    return 1.1 * max(later) if later else None


def _draw_errors(view: View, quantity: Quantity, axes: Axes) -> None:
    arms = view.group.arms
    for i, arm in enumerate(arms):
        found = [cell.error(view.split, f"{quantity.metric}_mae") for cell in arm.cells.values()]
        values = [MEV * value for value in found if value is not None]
        points(axes, values, [i] * len(values), view.style[arm.label], upright=False, beside=BESIDE)
    explain_open(axes, view.style.values())
    lines(axes, [arm.label for arm in arms], f"{NAMES[quantity.label]} MAE ({quantity.shown_unit})")


def _draw_changes(style: Mapping[str, Style], rows: Sequence[Comparison], axes: Axes) -> None:
    axes.use_sticky_edges = False
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    for i, row in enumerate(rows):
        if row.claim:
            axes.barh(i, row.claim[1] - row.claim[0], left=row.claim[0], height=0.8, color="0.82", zorder=0)
        points(axes, row.changes, [i] * len(row.changes), style[row.arm.label], upright=False, beside=BESIDE)
    told = [(row.result.mean, i - BESIDE) for i, row in enumerate(rows) if row.told]
    if told:
        axes.plot(*zip(*told, strict=True), "*", color="black", markersize=6, label="verdict holds after Holm")
    explain_open(axes, [style[row.arm.label] for row in rows])
    labels = [f"{row.arm.label} vs {row.reference.label}" for row in rows]
    lines(axes, labels, "change of the MAE (%), negative is better")


def _draw_cost(view: View, cost: Cost, axes: Axes) -> None:
    for arm in view.group.arms:
        found = [(cell.get(*cost.keys), cell.error(view.split, "forces_mae")) for cell in arm.cells.values()]
        known = [(price / cost.unit, MEV * error) for price, error in found if price and error]
        if known:
            prices, values = (list(column) for column in zip(*known, strict=True))
            points(axes, values, prices, view.style[arm.label], label=arm.label)
    explain_open(axes, view.style.values())
    axes.set(xlabel=cost.label, ylabel="force MAE (meV/Å)")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(color=GRID, linewidth=0.6)


def _draw_bins(view: View, kind: str, axes: Axes) -> None:
    arms, cells = view.group.arms, view.group.cells
    atoms = {row["bin"]: row["atoms"] for cell in cells for row in cell.get("binned", view.split, kind) or ()}
    bins = sorted(atoms)
    for i, arm in enumerate(arms):
        shift, near = SPREAD * (2 * i / max(1, len(arms) - 1) - 1), BESIDE * 2 * SPREAD / len(arms)
        rows = [row for cell in arm.cells.values() for row in cell.get("binned", view.split, kind) or ()]
        for place, where in enumerate(bins):
            values = [MEV * row["forces_mae"] for row in rows if row["bin"] == where]
            label = arm.label if place == 0 else None
            points(axes, values, [place + shift] * len(values), view.style[arm.label], label=label, beside=near)
    explain_open(axes, view.style.values())
    small = 6 if len(bins) > MANY else 8
    axes.set_xticks(range(len(bins)), [f"{where}\n({atoms[where]})" for where in bins], fontsize=small)
    axes.set(xlabel=BINS[kind], ylabel="force MAE (meV/Å)", ylim=(0, None))
    axes.grid(axis="y", color=GRID, linewidth=0.6)


def _curve(history: Mapping[str, Sequence[float | None]] | None, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, counted from 1, and values where the curve was measured."""
    found = history or {}
    rows = zip(found.get("epoch", ()), found.get(key, ()), strict=False)
    kept = [(epoch, value) for epoch, value in rows if value]
    return np.array([epoch + 1 for epoch, _ in kept]), np.array([value for _, value in kept])
