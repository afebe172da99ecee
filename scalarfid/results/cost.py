"""What arms cost against each other, paired by seed; times only where both runs of a pair had the same conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarfid.results.cells import Cell
from scalarfid.results.comparison import pairs
from scalarfid.results.groups import Arm, Group
from scalarfid.results.matched import Matched, matched
from scalarfid.results.paired import paired, relative_changes

CLOCKS = {"training_time_s": "wall", "processor_time_s": "processor"}
"""Times of training in a summary, s, and what they are called."""
CONDITIONS = {"host": "machine", "device": "device", "threads": "threads", "compile": "compilation"}
"""Entries of a summary that a time depends on, and what they are called."""


@dataclass(frozen=True)
class Slower(Matched):
    """Training times of an arm and a reference, s; ``result`` is of their relative changes in %.

    Attributes:
        clock: whose times they are, a key of ``CLOCKS``.
        unequal: names of conditions in which they differ: the changes say nothing about the arms then.
    """

    clock: str
    unequal: list[str]

    @property
    def changes(self) -> list[float]:
        """Relative changes in %, by seed."""
        return relative_changes(self.values, self.references)


def slower(group: Group) -> list[Slower]:
    """Every pair of the group's tables at the seeds that have times, by clock."""
    found = []
    for clock in CLOCKS:
        for arm, reference in pairs(group):
            times = matched(arm, reference, lambda cell, clock=clock: cell.get(clock) or None)
            if times:
                result, unequal = paired(relative_changes(*times[1:])), unequal_conditions(arm, reference)
                found.append(Slower(arm, reference, *times, result, clock, unequal))
    return found


def unequal_conditions(arm: Arm, reference: Arm) -> list[str]:
    """Names of the conditions in which the two runs of some seed differ."""
    shared = arm.cells.keys() & reference.cells.keys()
    seeds = [(conditions(arm.cells[seed]), conditions(reference.cells[seed])) for seed in shared]
    return [name for i, name in enumerate(CONDITIONS.values()) if any(mine[i] != its[i] for mine, its in seeds)]


def conditions(cell: Cell) -> tuple[Any, ...]:
    """Of the cell's times, as in ``CONDITIONS``; None for what is not recorded."""
    return tuple(cell.get(key) for key in CONDITIONS)


def dearer(arm: Arm, other: Arm, *keys: str) -> float | None:
    """Median over common seeds of the relative change of a number of the summaries, in %; None without one."""
    found = matched(arm, other, lambda cell: cell.get(*keys))
    changes = [100.0 * (mine - its) / its for mine, its in zip(*found[1:], strict=True) if its] if found else []
    return float(np.median(changes)) if changes else None


def median(arm: Arm, *keys: str) -> float | None:
    """Median over the arm's seeds of a number of the summaries; None without one."""
    values = [value for cell in arm.cells.values() if (value := cell.get(*keys)) is not None]
    return float(np.median(values)) if values else None
