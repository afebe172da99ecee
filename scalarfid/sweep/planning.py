"""What a grid still has to do: the state of every cell, and the time that the rest will take."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from scalarfid.files import read_json
from scalarfid.log import log, setup_logging
from scalarfid.sweep.cells import Cell, expand
from scalarfid.sweep.ends import End
from scalarfid.sweep.launching import GridLauncher

STATES = ("finished", "running", "interrupted", "failed", "missing", "no data")
SOURCES = {
    "measured": "from finished cells of the same backbone, data and epochs",
    "scaled": "scaled by epochs × edges from finished cells of the same backbone",
    "scaled far": "scaled by epochs × edges from finished cells of other backbones",
}


@dataclass(frozen=True)
class Estimate:
    """Seconds of training that a cell still needs, and which of ``SOURCES`` says so; None and "" if nothing does."""

    seconds: float | None
    source: str


class Plan(GridLauncher):
    """Runs nothing: lists the cells on stdout, and says on stderr how many are in which state and what is to come."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:  # noqa: ARG002 - Hydra's
        """List the cells of a grid."""
        setup_logging()
        cells = expand(job_overrides)
        times = Times(cells)
        states = [cell.state for cell in cells]
        estimates = [Estimate(0.0, "") if state == "finished" else times.left(cell)
                     for cell, state in zip(cells, states, strict=True)]  # fmt: skip
        for cell, state, estimate in zip(cells, states, estimates, strict=True):
            sys.stdout.write(f"{state:<12}{_shown(state, estimate):>9}  {cell.name}{_reason(cell)}\n")
        for problem, count in Counter(cell.problem for cell in cells if cell.path is None).items():
            log.warning("%d cells have no data: %s", count, problem)
        counts = Counter(states)
        log.info(
            "%d cells: %s.", len(cells), ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        )
        _say_the_rest([e for e, state in zip(estimates, states, strict=True) if state != "finished"])
        return []

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:  # noqa: ARG002 - a launcher's
        """Nothing."""
        yield from ()


class Times:
    """Training times of the finished cells of a grid and of its experiment's folder.

    Args:
        cells: of the grid.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.same: dict[tuple, list[float]] = {}
        self.rates: dict[str, list[float]] = {}
        for cell in cells:
            summary = _summary(cell)
            if summary is not None:
                seconds = float(summary["training_time_s"])
                self.same.setdefault(_kind(cell), []).append(seconds)
                self.rates.setdefault(_size(cell), []).append(seconds / _work(cell))

    def left(self, cell: Cell) -> Estimate:
        """Seconds that a cell still needs, what it has done already taken off."""
        if cell.path is None:
            return Estimate(None, "")
        rest = 1.0 - _done(cell)
        if _kind(cell) in self.same:
            return Estimate(rest * fmean(self.same[_kind(cell)]), "measured")
        if _size(cell) in self.rates:
            return Estimate(rest * _work(cell) * fmean(self.rates[_size(cell)]), "scaled")
        if self.rates:
            return Estimate(rest * _work(cell) * fmean(map(fmean, self.rates.values())), "scaled far")
        return Estimate(None, "")


def _summary(cell: Cell) -> dict[str, Any] | None:
    return read_json(cell.path / "summary.json") if cell.state == "finished" else None


def _size(cell: Cell) -> str:
    """Backbone with its sizes."""
    return repr(sorted(cell.config["backbone"].items()))


def _kind(cell: Cell) -> tuple:
    """What sets the time of a cell apart from the probe and the seed: backbone, edges, epochs."""
    return _size(cell), cell.edges, cell.config["training"]["max_epochs"]


def _work(cell: Cell) -> float:
    """Epochs × edges of the training frames."""
    return cell.config["training"]["max_epochs"] * max(cell.edges, 1)


def _done(cell: Cell) -> float:
    """Fraction of the epochs that an unfinished cell has behind it."""
    status: Mapping[str, Any] = read_json(Path(cell.path) / "status.json") or {}
    return min(1.0, float(status.get("epoch") or 0) / cell.config["training"]["max_epochs"])


def _say_the_rest(estimates: Sequence[Estimate]) -> None:
    if not estimates:
        return
    known = [estimate for estimate in estimates if estimate.seconds is not None]
    parts = [f"{count} {SOURCES[source]}" for source, count in Counter(e.source for e in known).items()]
    parts += [f"{len(estimates) - len(known)} unknown"] if len(known) < len(estimates) else []
    total = duration(sum(e.seconds for e in known)) if known else "unknown"
    log.info("Training still to do, one cell at a time: %s (%s).", total, "; ".join(parts))


def _shown(state: str, estimate: Estimate) -> str:
    if state == "finished":
        return ""
    return "unknown" if estimate.seconds is None else duration(estimate.seconds)


def _reason(cell: Cell) -> str:
    """Last line of the error of a failed cell."""
    if cell.state != "failed":
        return ""
    error = (read_json(cell.path / "status.json") or {}).get("error", "").strip()
    return f": {error.splitlines()[-1]}" if error else ""


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3.4 h`` or ``2.1 d``."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}" if name == "h" else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.1f} d"
