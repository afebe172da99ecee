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

NOTES = [
    "Mean over sets, each with equal weight, of the mean change over its seeds (first test split; two seeds or more). "
    "The interval is of seeds (Welch–Satterthwaite), for these sets and splits as they are: it says nothing of others. "
    "Corrected over the rows of this table."
]


@dataclass(frozen=True)
class Pooled(Matched):
    """One row: the comparisons of one arm and reference over several groups; ``result`` is of relative changes in %."""

    rows: list[tuple[Group, Comparison]]

    @property
    def changes(self) -> list[float]:
        """Relative changes in %, by set and seed."""
        return list(chain.from_iterable(row.changes for _, row in self.rows))


def pooled_rows(found: Sequence[tuple[Group, Sequence[Comparison]]]) -> list[Pooled]:
    """Rows of all arms that two groups or more of equal backbones compare, by backbone, corrected together."""
    known = [(group, row) for group, rows in found for row in rows if row.split == group.splits[0] and row.result.n > 1]
    several = [same for same in alike(known, _kind) if len(same) > 1]
    return corrected([_pooled(same) for same in sorted(several, key=lambda same: same[0][0].backbone)])


def pooled_sheet(found: Sequence[tuple[Group, Sequence[Comparison]]]) -> Sheet:
    """What all sets say together; without rows where no arm was compared on two."""
    body = []
    for row in pooled_rows(found):
        arm, against, *result = result_of(row)
        group, first = row.rows[0]
        by_set = "; ".join(f"{group.dataset} {signed(one.result.mean)}" for group, one in row.rows)
        body.append([group.backbone, arm, against, first.quantity.symbol, str(len(row.rows)), *result, by_set])
    header = [
        "backbone",
        "arm",
        "against",
        "MAE of",
        "sets",
        "change (%)",
        "95 % interval (%)",
        "n",
        "p, Holm",
        "verdict",
    ]
    return Sheet("Over all sets", [*header, "change by set (%)"], body, NOTES)


def _kind(one: tuple[Group, Comparison]) -> str:
    group, row = one
    size = group.any_cell.get("config", "backbone")
    return canonical([group.backbone, size, row.quantity.label, row.arm.label, row.reference.label])


def _pooled(rows: list[tuple[Group, Comparison]]) -> Pooled:
    every = [row for _, row in rows]
    seeds, values, references = (
        list(chain.from_iterable(getattr(row, name) for row in every)) for name in ("seeds", "values", "references")
    )
    result = pooled([row.changes for row in every])
    return Pooled(every[0].arm, every[0].reference, seeds, values, references, result, rows)
