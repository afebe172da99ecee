"""Arms against ``none`` and against their control, paired by seed, with a verdict that holds over the whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scalarfid.results.groups import BARE, CONTROLS, Arm, Group
from scalarfid.results.matched import Matched, corrected, matched
from scalarfid.results.paired import paired, relative_changes
from scalarfid.results.units import QUANTITIES, Quantity

PAPER = "arXiv 2606.15892"
CLAIMED_FOR = ("mace", "pan+pgs")
"""Backbone and probe set that the claims are about, against the bare backbone."""
CLAIMS = {"forces": (-27.0, -22.0), "energy": (-22.0, -19.0), "stress": (-28.0, -27.0)}
"""Relative change of the error in %, by label, as the abstract gives it; it does not say of which error."""
CLAIMED_FLOPS = 5.0
"""Additional operations at inference, about, in %."""
UNMATCHED = 2.0
"""% of parameters by which an arm and its control may differ."""


@dataclass(frozen=True)
class Comparison(Matched):
    """One row of the table: MAE of one label on one test split, in eV and Å; ``result`` is of relative changes in %.

    Attributes:
        split: name of the test split.
        quantity: label whose MAE is compared.
    """

    split: str
    quantity: Quantity

    @property
    def changes(self) -> list[float]:
        """Relative changes in %, by seed."""
        return relative_changes(self.values, self.references)

    @property
    def claim(self) -> tuple[float, float] | None:
        """The paper's range in %, where it says something about this row."""
        about = (self.arm.first.record["backbone"], self.arm.label) == CLAIMED_FOR and self.reference.probe == BARE
        return CLAIMS[self.quantity.label] if about else None


def comparisons(group: Group, chosen: Sequence[tuple[Arm, Arm]] | None = None) -> list[Comparison]:
    """Rows of a group's table, by split, label and arm, corrected together; of the ``chosen`` pairs alone if given."""
    found = []
    for split in group.splits:
        for quantity in quantities(group, split):
            for arm, reference in pairs(group) if chosen is None else chosen:
                row = _compare(arm, reference, split, quantity)
                found += [row] if row else []
    return corrected(found)


def foremost(group: Group, rows: Sequence[Comparison]) -> list[Comparison]:
    """Of every probe with a control, on the first test split: what an overview shows."""
    return [row for row in rows if row.split == group.splits[0] and row.arm.probe in CONTROLS]


def pairs(group: Group) -> list[tuple[Arm, Arm]]:
    """Every arm with ``none``, and with its control if the group has one."""
    bare = group.named(BARE)[:1]
    found = []
    for arm in group.arms:
        found += [(arm, reference) for reference in bare if arm is not reference]
        control = control_of(group, arm)
        found += [(arm, control)] if control else []
    return found


def control_of(group: Group, arm: Arm) -> Arm | None:
    """The form of the arm's control that is nearest to it in parameters; None if there is no control."""
    candidates = group.named(CONTROLS.get(arm.probe, ""))
    return min(candidates, key=lambda other: abs(size(other) - size(arm)), default=None)


def mismatch(arm: Arm, control: Arm) -> float:
    """Parameters of the arm's probe against those of its control's, in %."""
    return 100.0 * (size(arm) - size(control)) / size(control) if size(control) else 0.0


def size(arm: Arm) -> int:
    """Parameters of the arm's probe, 0 if its summary does not say."""
    return arm.first.get("parameters", "probe") or 0


def quantities(group: Group, split: str) -> list[Quantity]:
    """Labels that some compared cell has an MAE of."""
    return [q for q in QUANTITIES if any(cell.error(split, f"{q.metric}_mae") is not None for cell in group.cells)]


def _compare(arm: Arm, reference: Arm, split: str, quantity: Quantity) -> Comparison | None:
    """One row; None without a seed at which both have a number that is not zero, as relative changes need it."""
    found = matched(arm, reference, lambda cell: cell.error(split, f"{quantity.metric}_mae") or None)
    return Comparison(arm, reference, *found, paired(relative_changes(*found[1:])), split, quantity) if found else None
