"""Two arms at the seeds that they share: one row of a table, with a verdict that holds over the whole table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

from scalarfid.results.cells import Cell
from scalarfid.results.groups import Arm
from scalarfid.results.paired import LEVEL, Paired, absolute_changes, holm


@dataclass(frozen=True)
class Matched:
    """One row: an arm against a reference.

    Attributes:
        arm, reference: of equal facts; ``reference`` is ``none`` or the control.
        seeds: at which both have a number.
        values, references: what is compared, by seed; less is better.
        result: of the changes.
        adjusted: p-value after Holm's correction over the table; None where there is no test.
    """

    WORDS: ClassVar[tuple[str, str]] = ("improves", "worse")
    """Verdicts of a significant change down and up."""

    arm: Arm
    reference: Arm
    seeds: list[int]
    values: list[float]
    references: list[float]
    result: Paired
    adjusted: float | None = field(default=None, kw_only=True)

    @property
    def changes(self) -> list[float]:
        """What ``result`` is about, by seed."""
        return absolute_changes(self.values, self.references)

    @property
    def told(self) -> bool:
        """Whether the change is significant after Holm's correction."""
        return self.adjusted is not None and self.adjusted < LEVEL

    @property
    def verdict(self) -> str:
        """One of ``WORDS`` where the table tells the change from none, else ``cannot tell``."""
        if self.result.n == 1:
            return "cannot tell (n = 1)"
        if self.adjusted is None:
            return "cannot tell (no spread)"
        if not self.told:
            return "cannot tell"
        return self.WORDS[self.result.mean > 0]


Row = TypeVar("Row", bound=Matched)


def matched(
    arm: Arm, reference: Arm, of: Callable[[Cell], float | None]
) -> tuple[list[int], list[float], list[float]] | None:
    """Seeds at which ``of`` has a number for both, and the numbers; None without one."""
    shared = sorted(arm.cells.keys() & reference.cells.keys())
    found = [(seed, of(arm.cells[seed]), of(reference.cells[seed])) for seed in shared]
    known = [row for row in found if None not in row]
    return tuple(list(column) for column in zip(*known, strict=True)) if known else None


def corrected(rows: Sequence[Row]) -> list[Row]:
    """The rows of a table with their p-values adjusted together."""
    tested = [i for i, row in enumerate(rows) if row.result.p is not None]
    adjusted = dict(zip(tested, holm([rows[i].result.p or 0.0 for i in tested]), strict=True))
    return [replace(row, adjusted=adjusted.get(i)) for i, row in enumerate(rows)]
