"""How the cells of a grid ended, and what is said about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.log import log
from scalarfid.sweep.cells import Cell
from scalarfid.training.directory import HeldError, note_failure
from scalarfid.training.stopping import SIGNALS

MEANINGS = {
    "finished": "finished",
    "skipped": "skipped, finished before",
    "held": "left to another process that has them",
    "interrupted": "interrupted, the same command goes on",
    "failed": "failed",
    "waiting": "not begun",
}
GOOD = ("finished", "skipped", "held")


class GridError(ScalarFidError):
    """Some cells of a grid did not finish; which ones has been said."""

    shown = True


@dataclass(frozen=True)
class End:
    """How a cell ended: one of ``MEANINGS``, and the error if it failed."""

    cell: Cell
    how: str
    error: str = ""


def settled(cell: Cell) -> End | None:
    """The end of a cell that needs no work now, None for one that does."""
    if cell.path is None:
        return End(cell, "failed", cell.problem or "")
    state = cell.state
    if state == "running":
        return End(cell, "held")
    if state == "finished" and (cell.path / "summary.json").is_file() and not cell.config["run"]["force"]:
        return End(cell, "skipped")
    return None


@dataclass(frozen=True)
class Attempt:
    """A cell on its way, and the mark of who had its directory before."""

    cell: Cell
    before: str | None

    @classmethod
    def at(cls, cell: Cell) -> Attempt:
        """Begin to look at a cell that has a path, before it is started."""
        return cls(cell, _status(cell).get("token"))

    def ended(self, code: int | None, text: str) -> End:
        """The end of the cell, whose process is gone.

        Args:
            code: exit status, minus the signal that killed it; None where nobody knows.
            text: what the process said last, for a failure that it did not record itself.
        """
        status = _status(self.cell)
        state = status.get("state") if status.get("token") != self.before else None  # None: it did not get that far
        if code == 0 or (code is None and state == "finished"):
            return End(self.cell, "finished")
        if code == HeldError.exit_status or self.cell.state == "running":
            return End(self.cell, "held")
        if state == "interrupted" or (code is not None and code - 128 in SIGNALS):
            return End(self.cell, "interrupted")
        if state == "failed":
            return End(self.cell, "failed", status["error"])
        killed = f"killed by signal {-code}" if code is not None and code < 0 else ""
        error = "\n".join(filter(None, (text.strip(), killed))) or f"ended with exit status {code}"
        note_failure(self.cell.path, error)
        return End(self.cell, "failed", error)


def _status(cell: Cell) -> dict[str, Any]:
    return read_json(cell.path / "status.json") or {}


def report(cells: Sequence[Cell], ends: Sequence[End]) -> None:
    """Say how many cells ended how, and name those that did not finish with the last line of their error.

    Raises:
        GridError: if there are any.
    """
    done = {end.cell.words for end in ends}
    ends = [*ends, *(End(cell, "waiting") for cell in cells if cell.words not in done)]
    counts = Counter(end.how for end in ends)
    bad = [end for end in ends if end.how not in GOOD]
    for error, names in _by_error(bad).items():
        log.error("error: %s: %s", ", ".join(names), error)
    said = "; ".join(f"{counts[how]} {meaning}" for how, meaning in MEANINGS.items() if counts[how])
    log.info("%d cells: %s.", len(cells), said)
    if bad:
        log.info("The same command does what is missing; status.json of a failed cell has its traceback.")
        raise GridError(f"{len(bad)} of {len(cells)} cells did not finish")


def _by_error(ends: Iterable[End]) -> dict[str, list[str]]:
    """Names of the failed cells by the last line of their error."""
    names: dict[str, list[str]] = {}
    for end in ends:
        if end.how == "failed":
            names.setdefault(_last_line(end.error), []).append(end.cell.name)
    return names


def _last_line(text: str) -> str:
    """What a traceback or a log comes down to."""
    lines = text.strip().splitlines() or ["no reason recorded"]
    return lines[-1].strip().removeprefix("error: ").removeprefix("scalarfid.errors.ScalarFidError: ")
