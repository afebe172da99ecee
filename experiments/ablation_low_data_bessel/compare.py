"""Compare bare models of sixteen Bessel functions with those of eight, with PGS and with its control.

python experiments/ablation_low_data_bessel/compare.py

Errors of test frames, arms paired by seed, as in the report of `../ablation_low_data`, whose cells are the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.results.cells import Cell, read_cells
from scalarfid.results.comparison import comparisons
from scalarfid.results.content import verdicts
from scalarfid.results.groups import Arm, Group, differences
from scalarfid.results.tables import markdown

HERE = Path(__file__).parent
CELLS = (HERE / "cells", HERE.parent / "ablation_low_data" / "cells")
WIDE = "none, 16 Bessel functions"
ARMS = {"none": ("none", 8), WIDE: ("none", 16), "pgs": ("pgs", 8), "mlp_pgs": ("mlp_pgs", 8)}
"""Probe and number of Bessel functions by label."""
PAIRS = ((WIDE, "none"), ("pgs", WIDE), ("mlp_pgs", WIDE))
TEXT = """# Sixteen Bessel functions

{doc}
{tables}"""


def arm(cells: Sequence[Cell], label: str) -> Arm:
    """The cells of an arm by seed."""
    probe, number = ARMS[label]
    of = [cell for cell in cells if (cell.probe, cell.get("config", "backbone", "num_bessel")) == (probe, number)]
    return Arm(probe, label, {cell.seed: cell for cell in of})


def tables(cells: Sequence[Cell]) -> Iterator[str]:
    """A table for each backbone that has cells of both kinds.

    Raises:
        ScalarFidError: cells that differ in more than the number of Bessel functions.
    """
    for backbone in sorted({cell.record["backbone"] for cell in cells}):
        arms = {label: arm([cell for cell in cells if cell.record["backbone"] == backbone], label) for label in ARMS}
        if not all(one.cells for one in arms.values()):
            continue
        group = Group([*arms.values()], [], [])
        facts = group.any_cell.facts()
        more = {name for cell in group.cells for name, *_ in differences(cell.facts(), facts)} - {"backbone.num_bessel"}
        if more:
            raise ScalarFidError(f"Cells of {backbone} differ in {', '.join(sorted(more))}: compare equal budgets.")
        sheet = verdicts(group, comparisons(group, [(arms[a], arms[b]) for a, b in PAIRS]))
        yield f"## {group.title}\n\n{markdown(sheet.header, sheet.rows)}"


def page() -> str:
    """The text of compare.md."""
    ag = [cell for cell in read_cells(CELLS)[0] if cell.record["dataset"] == "ag"]
    return TEXT.format(doc=(__doc__ or "").split("\n\n", 2)[2], tables="\n".join(tables(ag)))


if __name__ == "__main__":
    write_text(HERE / "compare.md", page())
