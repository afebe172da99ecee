"""What a diagnostic found: numbers with units, arrays for the plot, named faults, and every setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.files import replacing, write_json

Draw = Callable[["Outcome", Figure], None]
Better = Literal["less", "zero", "reference"]
"""When a headline is better: the less it is, the nearer to zero, the nearer to the reference's."""


@dataclass(frozen=True)
class Number:
    """A value with its unit and, where there is one, its 95 % interval.

    Attributes:
        better: of a headline, which stands for its diagnostic in the report of a sweep; None for other numbers.
        reference: of a headline, what the reference has; None if there is none.
        note: what there is to say of it, such as the reason of a failure; None if nothing.
    """

    value: float | int | None
    unit: str
    low: float | None = None
    high: float | None = None
    better: Better | None = None
    reference: float | None = None
    note: str | None = None

    def headline(self, better: Better, reference: Number | None = None) -> Number:
        """The same as a headline, beside the reference's number."""
        return replace(self, better=better, reference=None if reference is None else reference.value)

    def record(self) -> dict[str, Any]:
        """As JSON has it; ends of an interval, what a headline has, and a note only where there is one."""
        interval = {} if self.low is None else {"low": self.low, "high": self.high}
        headline = {} if self.better is None else {"better": self.better, "reference": self.reference}
        note = {} if self.note is None else {"note": self.note}
        return {"value": self.value, "unit": self.unit, **interval, **headline, **note}


def over_scans(numbers: Mapping[str, Number], of: Callable[[list[Any]], Any]) -> Number | None:
    """One number of those that several scans have, such as their mean or the largest.

    Where a scan has no value and a note that says why, there is no value: what cannot be counted is not better than
    what can. A scan that has neither does not count.

    Args:
        numbers: by the name of the scan.
        of: makes one value of those of all scans.

    Returns:
        None where no scan has a value.
    """
    known = [number for number in numbers.values() if number.value is not None]
    for name, number in numbers.items():
        if number.value is None and number.note is not None:
            return Number(None, number.unit, note=f"{name}: {number.note}")
    return Number(of([number.value for number in known]), known[0].unit) if known else None


def mean(values: list[float]) -> float:
    """For :func:`over_scans`."""
    return float(np.mean(values))


@dataclass(frozen=True)
class Outcome:
    """Of one question to one surface.

    Attributes:
        question: name of the diagnostic.
        model: name of the surface asked.
        reference: name of the surface compared with, None if there is none.
        settings: everything that was chosen.
        numbers: by name; dots group them, as in ``Si-Si.tortuosity``.
        arrays: for plots and for whoever wants to look closer.
        findings: faults, each a sentence that names place and size; empty if there are none.
    """

    question: str
    model: str
    reference: str | None
    settings: dict[str, Any]
    numbers: dict[str, Number]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def drawn(self, ending: str) -> list[str]:
        """Names of what there is to draw: of the model's arrays ``<name>.<ending>``, in order."""
        keys = [key for key in self.arrays if key.endswith(f".{ending}") and ".reference." not in key]
        return [key.removesuffix(f".{ending}") for key in keys]

    def record(self, **facts: Any) -> dict[str, Any]:
        """What the JSON file holds, with further ``facts`` such as the hash of the model."""
        return {
            "question": self.question,
            "model": self.model,
            "reference": self.reference,
            **facts,
            "settings": self.settings,
            "numbers": {name: number.record() for name, number in self.numbers.items()},
            "findings": self.findings,
        }

    def write(self, folder: Path, draw: Draw | None = None, **facts: Any) -> Path:
        """Write ``<question>.npz``, ``<question>.png`` if it can be drawn, and last ``<question>.json``.

        Returns:
            The path of the JSON file; where it stands, the others are whole.

        Raises:
            ScalarFidError: a file that cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{self.question}.npz") as temporary:
            np.savez_compressed(temporary, **self.arrays)
        if draw is not None:
            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            draw(self, figure)
            with replacing(folder / f"{self.question}.png") as temporary:
                figure.savefig(temporary, dpi=150)
        path = folder / f"{self.question}.json"
        write_json(path, self.record(**facts))
        return path


def grid(figure: Figure, count: int, *, width: float, height: float, columns: int = 3) -> list[Axes]:
    """At least one panel, of so many inches each, in rows of ``columns``; what is left of the last row stays empty."""
    columns = min(max(count, 1), columns)
    rows = -(-max(count, 1) // columns)
    figure.set_size_inches(width * columns, height * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[max(count, 1) :]:
        axes.set_visible(False)
    return panels[: max(count, 1)]
