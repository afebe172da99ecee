"""What a grid still has to do: the state of every cell, and the time that the rest will take."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from scalarfid.files import read_json
from scalarfid.log import log, setup_logging
from scalarfid.sweep.cells import Cell, expand
from scalarfid.sweep.ends import End
from scalarfid.sweep.launching import GridLauncher
from scalarfid.sweep.times import SOURCES, Estimate, Times, work_of
from scalarfid.sweep.worker import COMMAND

STATES = ("finished", "running", "interrupted", "failed", "missing", "no data")


class Plan(GridLauncher):
    """Runs nothing: lists the cells on stdout, and says on stderr how many are in which state and what is to come."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:  # noqa: ARG002 - Hydra's
        """List the cells of a grid."""
        setup_logging()
        cells = expand(job_overrides)
        times, counts, rest = Times(cells), Counter(), []
        for cell in cells:
            state = cell.state
            counts[state] += 1
            left = ""
            if state != "finished":
                rest.append((cell, times.left(cell)))
                left = _shown(rest[-1][1])
            sys.stdout.write(f"{state:<12}{left:>9}  {cell.name}{_reason(cell)}\n")
        for problem, count in Counter(cell.problem for cell in cells if cell.path is None).items():
            log.warning("%d cells have no data: %s", count, problem)
        said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        log.info("%d cells: %s.", len(cells), said)
        if rest:
            _say_the_rest(rest)
        return []

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:  # noqa: ARG002 - a launcher's
        """Nothing."""
        yield from ()


def _say_the_rest(rest: Sequence[tuple[Cell, Estimate]]) -> None:
    """Say how long the rest of a grid will take and what tells so, or what would."""
    known = [estimate for _, estimate in rest if estimate.seconds is not None]
    counts = Counter(estimate.source for estimate in known)
    parts = [f"{counts[source]} {meaning}" for source, meaning in SOURCES.items() if counts[source]]
    parts += [f"{len(rest) - len(known)} unknown"] if len(known) < len(rest) else []
    log.info("Training still to do, one cell at a time: %s (%s).", _total(known), "; ".join(parts))
    possible = [cell for cell, _ in rest if cell.path is not None]
    if possible and not known:
        least = min(possible, key=work_of)
        log.info("No run in %s has finished; one that has gives an estimate. The least work:", least.path.parent)
        log.info("python -m %s %s", COMMAND, shlex.join(least.words))


def _total(estimates: Sequence[Estimate]) -> str:
    if not estimates:
        return "unknown"
    rough = "~" * any(estimate.rough for estimate in estimates)
    return rough + duration(sum(estimate.seconds for estimate in estimates))


def _shown(estimate: Estimate) -> str:
    """Time of a cell, marked ``~`` if it is rough."""
    return _total([] if estimate.seconds is None else [estimate])


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
