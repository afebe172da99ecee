"""What the caption of a group says: what varied, what was fixed, what is missing, whether training was long enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalarfid.results.budget import budget
from scalarfid.results.cells import PACKAGES, Cell
from scalarfid.results.comparison import UNMATCHED, Comparison, control_of, mismatch, pairs
from scalarfid.results.cost import CLOCKS, CONDITIONS, conditions, unequal_conditions
from scalarfid.results.groups import BARE, Group

FLAT = 2.0
"""% by which the best validation force MAE may still fall over the last fifth of the epochs."""
TAIL = 0.2


def caption(group: Group, rows: Sequence[Comparison]) -> list[str]:
    """Sentences on what varied, what was fixed, the modules' rates, the tests, flatness, and matching of controls."""
    return [
        f"Varied: the seed ({', '.join(map(str, group.seeds))}), which sets initial weights and the order of batches. "
        "At one seed all arms start from the same backbone weights and see the same batches.",
        f"Fixed: {'; '.join(fixed(group.any_cell))}. Intervals are over seeds at this one split: "
        "they do not say what other training frames would give.",
        *_rates(group),
        family(rows),
        flatness(group),
        *_matching(group),
        *_times(group),
    ]


def fixed(cell: Cell) -> list[str]:
    """Phrases on split, cutoff, energies, budget, code and packages, and on which of them the summary is silent."""
    frames, e0 = cell.get("n_frames") or {}, cell.get("e0") or {}
    versions = {name: cell.get("versions", name) for name in PACKAGES}
    zbl = cell.get("config", "model", "zbl")
    phrases = [
        ("the split", f"{_short(cell.get('fingerprint'))}, {_listed(frames)} frames" if frames else None),
        ("cutoff", f"{cell.get('cutoff'):g} Å" if cell.get("cutoff") else None),
        ("precision", cell.get("dtype")),
        ("E0", ", ".join(f"{element} {energy:.6g}" for element, energy in e0.items()) + " eV" if e0 else None),
        ("scale", f"{cell.get('scale'):.4g} eV" if cell.get("scale") else None),
        ("ZBL repulsion", None if zbl is None else "on" if zbl else "off"),
        ("budget", budget(cell.get("config", "training"))),
        ("code", cell.get("code")),
        ("packages", _listed({name: version for name, version in versions.items() if version})),
    ]
    unknown = ", ".join(name for name, phrase in phrases if not phrase)
    told = [f"{name} {phrase}" for name, phrase in phrases if phrase]
    return [*told, *([f"not recorded, so perhaps not equal: {unknown}"] if unknown else [])]


def family(rows: Sequence[Comparison]) -> str:
    """How many tests are corrected together, and what a verdict means."""
    if not rows:
        return f"No arm shares a seed with “{BARE}” or with its control here: nothing to compare with."
    tests = sum(row.adjusted is not None for row in rows)
    if not tests:
        return "Verdicts: none, since no row has two seeds or more that differ."
    return (
        f"Verdicts: paired t tests of the relative change of the MAE, p after Holm's correction over the {tests} rows "
        "of this table that have a test; “improves” and “worse” where it is below 0.05, “cannot tell” otherwise. "
        "The 95 % intervals are those of single rows, not corrected."
    )


def flatness(group: Group) -> str:
    """Whether the best validation force MAE had stopped falling, in the worst cell."""
    falls = {cell: fall for cell in group.cells if (fall := last_fall(cell)) is not None}
    if not falls:
        return "No validation curves: whether training was long enough is not known."
    worst = max(falls, key=lambda cell: falls[cell])
    steep = sum(fall > FLAT for fall in falls.values())
    where = (
        "over the last fifth of the epochs the best validation force MAE fell by up to "
        f"{falls[worst]:.1f} % ({worst.probe}, seed {worst.seed})"
    )
    if steep:
        return (
            f"Not flat at the end: {where}, by more than {FLAT:g} % in {steep} of {len(falls)} cells; "
            "longer training may change the order."
        )
    flat = f"Flat at the end: {where}, by {FLAT:g} % or less in all {len(falls)} cells."
    if group.any_cell.get("config", "training", "schedule") == "cosine":
        flat += " The rate decays there, so only longer training shows what more epochs would bring."
    return flat


def last_fall(cell: Cell) -> float | None:
    """Fall of the best validation force MAE over the last fifth of the epochs, in % of its value before.

    None without at least two validations, one before that fifth.
    """
    epochs, values = (cell.get("history", name) or [] for name in ("epoch", "val/forces_mae"))
    if not values:
        return None
    curve = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
    before = [value for epoch, value in curve if epoch + 1 <= (1 - TAIL) * (epochs[-1] + 1)]
    if not before or min(before) == 0.0:
        return None
    return 100.0 * (min(before) - min(value for _, value in curve)) / min(before)


def _rates(group: Group) -> list[str]:
    """The learning rates of the arms' modules, where one is not the backbone's."""
    rates = {arm.label: arm.first.rate for arm in group.arms if arm.first.options}
    if set(rates.values()) <= {group.any_cell.get("config", "training", "lr")}:
        return []
    return [f"Learning rates of the modules, an arm's own: {_listed(rates)}."]


def _matching(group: Group) -> list[str]:
    found = []
    for arm in group.arms:
        control = control_of(group, arm)
        if control and abs(mismatch(arm, control)) > UNMATCHED:
            found.append(
                f"Not of equal size: {arm.label} has {mismatch(arm, control):+.1f} % of {control.label}'s probe."
            )
    return found


def _times(group: Group) -> list[str]:
    """On what the times were taken, and between which arms they are not compared."""
    cells = [cell for cell in group.cells if any(cell.get(clock) for clock in CLOCKS)]
    if not cells:
        return []
    found = [list(dict.fromkeys(values)) for values in zip(*map(conditions, cells), strict=True)]
    told = "; ".join(_condition(name, values) for name, values in zip(CONDITIONS, found, strict=True))
    withheld = [
        f"{arm.label} against {reference.label} ({', '.join(names)})"
        for arm, reference in pairs(group)
        if (names := unequal_conditions(arm, reference))
    ]
    why = " Δ time is withheld where the two runs of a seed differ in one of these"
    return [f"Times were taken on {told}." + (f"{why}: {', '.join(withheld)}." if withheld else "")]


def _condition(key: str, values: Sequence[Any]) -> str:
    """One condition in words; of machines their number."""
    shown = ", ".join("not recorded" if value is None else str(value) for value in values)
    if key == "host" and None not in values:
        return f"{len(values)} machine{'s' if len(values) > 1 else ''}"
    if key == "compile":
        shown = shown.replace("True", "on").replace("False", "off")
    return f"{CONDITIONS[key]} {shown}"


def _short(fingerprint: str | None) -> str:
    return (fingerprint or "unknown")[:12]


def _listed(items: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in items.items())
