"""Compare kept cells of two experiments or more, arms paired by seed, where a report would keep them apart.

python scripts/compare.py experiments/ablation_low_data_bessel/compare.yaml

A report compares cells that agree in everything but the probe. The plan says in what else its arms may differ, and
which pairs are compared; errors are of test frames, verdicts as in a report. Tables and figures stand beside the plan.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.results.cells import Cell, flat, read_cells
from scalarfid.results.comparison import Comparison, comparisons
from scalarfid.results.content import verdicts
from scalarfid.results.figures import pictures
from scalarfid.results.groups import Arm, Group, alike, differences
from scalarfid.results.tables import markdown


def arm(cells: Sequence[Cell], label: str, wanted: dict[str, Any]) -> Arm:
    """The cells, by seed, whose configuration has all that is wanted (by dotted name).

    Raises:
        ScalarFidError: two cells of one seed.
    """
    of = [cell for cell in cells if wanted.items() <= flat(cell.get("config")).items()]
    found = {cell.seed: cell for cell in of}
    if len(found) < len(of):
        raise ScalarFidError(f"The arm {label!r} has several cells of a seed; say more of its configuration.")
    return Arm(wanted["probe.name"], label, found)


def read(file: Path) -> tuple[dict[str, Any], list[tuple[Group, list[Comparison]]]]:
    """A plan, and for each backbone that has cells of every arm those cells and the comparisons.

    Raises:
        ScalarFidError: cells that differ in more than the plan allows.
    """
    plan, found = yaml.safe_load(file.read_text()), []
    cells, _ = read_cells(file.parent / place for place in plan["cells"])
    of = [cell for cell in cells if cell.record["dataset"] == plan["dataset"]]
    for same in alike(of, lambda cell: cell.record["backbone"]):
        arms = {label: arm(same, label, wanted) for label, wanted in plan["arms"].items()}
        if not all(one.cells for one in arms.values()):
            continue
        group = Group([*arms.values()], [], [])
        facts = group.any_cell.facts()
        more = {name for cell in group.cells for name, *_ in differences(cell.facts(), facts)} - {*plan["may_differ"]}
        if more:
            raise ScalarFidError(f"Cells of {group.title} differ in {', '.join(sorted(more))}: compare equal budgets.")
        found.append((group, comparisons(group, [(arms[a], arms[b]) for a, b in plan["pairs"]])))
    return plan, found


def page(file: Path) -> str:
    """The text that belongs to a plan."""
    plan, found = read(file)
    parts = [f"# {plan['title']}\n\n{plan['text']}"]
    for group, rows in found:
        sheet = verdicts(group, rows)
        parts.append(f"## {group.title}\n\n{markdown(sheet.header, sheet.rows)}")
    return "\n".join(parts)


def main() -> None:
    """Write the tables, and a figure of the changes of forces for each backbone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="YAML file with title, text, cells, dataset, arms, pairs, may_differ")
    file = parser.parse_args().plan
    write_text(file.with_suffix(".md"), page(file))
    for group, rows in read(file)[1]:
        picture = next(one for one in pictures(group, rows) if one.name == "test-change-forces")
        write_text(file.with_name(f"{file.stem}-{group.any_cell.record['backbone']}.svg"), picture.svg().decode())


if __name__ == "__main__":
    main()
