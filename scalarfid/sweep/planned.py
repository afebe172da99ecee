"""Which cells were ever asked for: kept beside the runs, so that one that never began is missed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalarfid.files import locked, read_json, write_json
from scalarfid.sweep.cells import Cell

PLANNED = Path(".sweep") / "grid.json"
"""Below ``<root>/<experiment>``."""


def note_planned(cells: Sequence[Cell]) -> None:
    """Add cells to ``<root>/<experiment>/.sweep/grid.json``, which holds those of every command so far.

    The file is ``{"cells": [{"name", "backbone", "probe", "dataset", "seed"}, …]}``: the name of the run directory, and
    the words that its ``summary.json`` uses. Cells whose data cannot be loaded have no name and are left out.

    Raises:
        ScalarFidError: the file cannot be written.
    """
    folders: dict[Path, dict[str, dict[str, Any]]] = {}
    for cell in cells:
        if cell.path is not None:
            folders.setdefault(cell.path.parent, {})[cell.name] = _entry(cell)
    for folder, entries in folders.items():
        target = folder / PLANNED
        with locked(target):
            record = read_json(target) or {}
            write_json(target, {"cells": list(({e["name"]: e for e in record.get("cells", [])} | entries).values())})


def _entry(cell: Cell) -> dict[str, Any]:
    names = {group: cell.config[group]["name"] for group in ("backbone", "probe", "dataset")}
    return {"name": cell.name, **names, "seed": cell.config["seed"]}
