"""Tables of text, and how numbers are written in them: the same for every format of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scalarfid.results.matched import Matched

NOTHING = "–"


@dataclass(frozen=True)
class Sheet:
    """A table of text: title, header with units, rows, notes beneath; ``folded`` ones are for looking things up."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    folded: bool = False


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, a true minus; what rounds to zero has none."""
    return f"{value:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def result_of(row: Matched, shown: Callable[[float], str] = signed) -> list[str]:
    """Arm, reference, mean change, interval, number of seeds, p-value and verdict of a row."""
    low, high = row.result.low, row.result.high
    interval = NOTHING if low is None or high is None else f"{shown(low)} … {shown(high)}"
    p = NOTHING if row.adjusted is None else f"{row.adjusted:.2g}" if row.adjusted < 0.1 else f"{row.adjusted:.2f}"
    return [row.arm.label, row.reference.label, shown(row.result.mean), interval, str(row.result.n), p, row.verdict]


def by_seed(seeds: Iterable[int], values: Iterable[float], shown: Callable[[float], str] = signed) -> str:
    """Numbers with their seeds, ``s0 −1.2, s1 0.3``."""
    return ", ".join(f"s{seed} {shown(value)}" for seed, value in zip(seeds, values, strict=True))


def count(value: float | None, unit: float, digits: int) -> str:
    """A number in a unit with so many decimals; a dash without one."""
    return NOTHING if value is None else f"{value / unit:.{digits}f}"
