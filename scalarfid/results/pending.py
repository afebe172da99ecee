"""Runs without a summary: those that have begun and not ended, and cells of a grid that have not begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from scalarfid.files import read_json
from scalarfid.results.shapes import GRID, fault
from scalarfid.results.summary import SUMMARY, UnreadableError, read_object

STATUS, PLANNED = "status.json", ".sweep/grid.json"
UNNAMED = {"missing": "unknown", "finished": f"finished, without {SUMMARY}"}
"""How states are shown that a directory with a ``status.json`` and no summary should not have."""


@dataclass(frozen=True)
class Unfinished:
    """A run directory without a summary: its name, state, last epoch, and the last line of its error."""

    name: str
    state: str
    epoch: int | None
    error: str = ""


@dataclass(frozen=True)
class Planned:
    """A cell that a launcher was given: name of its run directory, and what it is."""

    name: str
    backbone: str
    probe: str
    dataset: str
    seed: int


def recorded_state(directory: Path) -> str:
    """State as ``status.json`` has it, ``missing`` without one; whether its process still lives is not asked."""
    return (read_json(directory / STATUS) or {}).get("state", "missing")


def read_unfinished(places: Iterable[str | Path], state_of: Callable[[Path], str]) -> list[Unfinished]:
    """List the run directories in or below the places given that have a ``status.json`` and no ``summary.json``.

    Args:
        places: folders of run directories.
        state_of: state of a run directory.
    """
    folders = [file.parent for file in _below(places, STATUS) if not (file.parent / SUMMARY).is_file()]
    return [_unfinished(folder, state_of(folder)) for folder in folders]


def read_not_begun(places: Iterable[str | Path], begun: Iterable[str]) -> tuple[list[Planned], list[UnreadableError]]:
    """List the cells of every ``.sweep/grid.json`` in or below the places given whose run directory is not there.

    Args:
        places: folders of run directories.
        begun: names of runs that are known besides, such as those whose summaries alone were kept.

    Returns:
        The cells in the order of the files, and files that cannot be used.
    """
    places = list(places)
    known = {file.parent.name for name in (STATUS, SUMMARY) for file in _below(places, name)} | {*begun}
    planned: dict[str, Planned] = {}
    unreadable = []
    for file in _below(places, PLANNED):
        try:
            planned |= {cell.name: cell for cell in _planned(file)}
        except UnreadableError as error:
            unreadable.append(error)
    return [cell for name, cell in planned.items() if name not in known], unreadable


def _below(places: Iterable[str | Path], name: str) -> list[Path]:
    return sorted({file for place in places for file in Path(place).rglob(name)})


def _unfinished(folder: Path, state: str) -> Unfinished:
    status = read_json(folder / STATUS) or {}
    error = str(status.get("error") or "").strip() if state == "failed" else ""
    return Unfinished(folder.name, UNNAMED.get(state, state), status.get("epoch"), error.rpartition("\n")[2])


def _planned(file: Path) -> list[Planned]:
    remedy = "remove it; the command of the grid writes it again"
    record = read_object(file, remedy)
    why = fault(record, GRID)
    if why:
        raise UnreadableError(file, why, remedy)
    return [Planned(**{name: cell[name] for name in Planned.__dataclass_fields__}) for cell in record["cells"]]
