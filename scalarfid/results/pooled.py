"""The same arms over all sets of a report: one row for a backbone, an arm, its reference and a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from scalarfid.results.cells import canonical
from scalarfid.results.comparison import Comparison
from scalarfid.results.groups import Group, alike
from scalarfid.results.matched import Matched, corrected
from scalarfid.results.paired import pooled
from scalarfid.results.sheets import Sheet, result_of, signed
from scalarfid.results.units import Quantity

NOTES = [
    "Mean over sets, each with equal weight, of the mean change over its seeds (first test split; two seeds or more). "
    "The interval is of seeds (Welch–Satterthwaite), for these sets and splits as they are: it says nothing of others. "
    "Corrected over the rows of this table."
]

HEADER = ["backbone", "MAE of", "arm", "against", "change (%)", "95 % interval (%)", "n", "p, Holm", "verdict"]


@dataclass(frozen=True)
class Pooled(Matched):
    """One row: the comparisons of one arm and reference over several groups; ``result`` is of relative changes in %."""

    rows: list[tuple[Group, Comparison]]

    @property
    def backbone(self) -> str:
        """Of all its groups."""
        return self.rows[0][0].backbone

    @property
    def model(self) -> str:
        """Backbone with its sizes, the same in all groups."""
        return _model(self.rows[0][0])

    @property
    def quantity(self) -> Quantity:
        """Whose error is compared."""
        return self.rows[0][1].quantity

    @property
    def changes(self) -> list[float]:
        """Relative changes in %, by set and seed."""
        return list(chain.from_iterable(row.changes for _, row in self.rows))


def pooled_rows(found: Sequence[tuple[Group, Sequence[Comparison]]]) -> list[Pooled]:
    """Rows of all arms that two groups or more of equal backbones compare, by backbone, corrected together."""
    known = [(group, row) for group, rows in found for row in rows if row.split == group.splits[0] and row.result.n > 1]
    several = [same for same in alike(known, _kind) if len(same) > 1]
    return corrected([_pooled(same) for same in sorted(several, key=lambda same: same[0][0].backbone)])


def pooled_sheet(rows: Sequence[Pooled], *, by_set: bool = True) -> Sheet:
    """What all sets say together; how many they are, and the change on each, where ``by_set``."""
    body = []
    for row in rows:
        each = "; ".join(f"{group.dataset} {signed(one.result.mean)}" for group, one in row.rows)
        about = [str(len(row.rows)), each] if by_set else []
        body.append([row.backbone, row.quantity.symbol, *result_of(row), *about])
    return Sheet("Over all sets", [*HEADER, *(["sets", "change by set (%)"] if by_set else [])], body, NOTES)


def _kind(one: tuple[Group, Comparison]) -> str:
    """Equal for what may be pooled; the rate of an arm's modules, chosen for every set, is not in it."""
    group, row = one
    forms = [[arm.label, arm.first.get("config", "probe")] for arm in (row.arm, row.reference)]
    return canonical([_model(group), row.quantity.label, forms])


def _model(group: Group) -> str:
    return canonical([group.backbone, group.any_cell.get("config", "backbone")])


def _pooled(rows: list[tuple[Group, Comparison]]) -> Pooled:
    every = [row for _, row in rows]
    seeds, values, references = (
        list(chain.from_iterable(getattr(row, name) for row in every)) for name in ("seeds", "values", "references")
    )
    result = pooled([row.changes for row in every])
    return Pooled(every[0].arm, every[0].reference, seeds, values, references, result, rows)
