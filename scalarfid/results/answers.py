"""Answers of diagnostics beside the runs: their headline numbers, and which of them may be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarfid.files import digest, read_json
from scalarfid.results.cells import Cell, canonical, flat
from scalarfid.results.groups import alike, differences
from scalarfid.results.summary import SUMMARY

FOLDER = "diagnostics"
MODEL = "model.safetensors"
FACTS = ("options", "reference", "dtype", "system", "code")
"""Entries of an answer that every answer of a comparison has in common."""


@dataclass(frozen=True)
class Measure:
    """A headline number, which stands for its diagnostic.

    Attributes:
        question: name of the diagnostic.
        name: of the number in its answers.
        unit: of the number.
        better: ``less``, nearer to ``zero``, or nearer to the ``reference``'s.
    """

    question: str
    name: str
    unit: str
    better: str

    @property
    def title(self) -> str:
        """Diagnostic, name and unit."""
        return f"{self.question}: {self.name}" + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True, eq=False)
class Answer:
    """One diagnostic of one cell: its JSON file as a record, and when it was written (s since 1970)."""

    cell: Cell
    path: Path
    written: float
    record: Mapping[str, Any]

    @property
    def question(self) -> str:
        """Name of the diagnostic."""
        return self.record["question"]

    @property
    def headlines(self) -> dict[Measure, Mapping[str, Any]]:
        """``value`` and ``reference`` of every headline."""
        numbers = self.record.get("numbers", {}).items()
        return {
            Measure(self.question, name, number["unit"], number["better"]): number
            for name, number in numbers
            if number.get("better")
        }

    def value(self, measure: Measure) -> float | None:
        """Of a headline; None without one."""
        return self.headlines.get(measure, {}).get("value")

    def reference(self, measure: Measure) -> float | None:
        """What the reference has; None without one."""
        return self.headlines.get(measure, {}).get("reference")

    def deviation(self, measure: Measure) -> float | None:
        """How bad: the value, its size, or its distance from the reference's; None without what that takes."""
        value, reference = self.value(measure), self.reference(measure)
        if measure.better == "reference":
            return None if None in (value, reference) else abs(value - reference)
        return abs(value) if value is not None and measure.better == "zero" else value

    def facts(self) -> dict[str, Any]:
        """What must be equal in two answers that are compared, by dotted name."""
        return flat({name: self.record.get(name) for name in FACTS})

    def stale(self) -> list[tuple[str, Any, Any]]:
        """The model that answered and the cell's own, if they differ; nothing where the cell was copied without it."""
        model = self.cell.path.parent / MODEL
        own, asked = digest(model) if model.is_file() else None, self.record.get("model_sha256")
        return [] if own in (None, asked) else [("model", asked, f"{own}, the cell's now")]


@dataclass(frozen=True)
class Asked:
    """One question to the cells of a table.

    Attributes:
        name: of the diagnostic.
        answers: that agree, by cell.
        unequal: others, each with (fact, its value, that of the answers that are compared).
        missing: cells without an answer.
    """

    name: str
    answers: dict[Cell, Answer]
    unequal: list[tuple[Answer, list[tuple[str, Any, Any]]]]
    missing: list[Cell]

    @property
    def measures(self) -> list[Measure]:
        """Headlines of all answers."""
        return list(dict.fromkeys(measure for answer in self.answers.values() for measure in answer.headlines))

    @property
    def reference(self) -> str | None:
        """Name of what the answers are compared with."""
        return next((answer.record.get("reference") for answer in self.answers.values()), None)

    def truth(self, measure: Measure) -> float | None:
        """What the reference has, None without a reference."""
        found = (answer.reference(measure) for answer in self.answers.values())
        return next((value for value in found if value is not None), None)

    def deviation(self, cell: Cell, measure: Measure) -> float | None:
        """Of the cell's answer, None without one."""
        return self.answers[cell].deviation(measure) if cell in self.answers else None

    def values(self, measure: Measure, cells: Mapping[int, Cell]) -> dict[int, float]:
        """Numbers by seed, of those of the cells that have one."""
        answered = {seed: self.answers[cell].value(measure) for seed, cell in cells.items() if cell in self.answers}
        return {seed: value for seed, value in answered.items() if value is not None}


def asked(cells: Sequence[Cell]) -> list[Asked]:
    """Questions that some of the cells have answered, by name.

    The largest set of answers that agree in every fact is compared, of equally large ones the newest; answers of a
    model that is no longer the cell's are in no such set.
    """
    found = [answer for cell in cells for answer in answers_of(cell)]
    return [_asked(answers, cells) for answers in alike(sorted(found, key=_name), _name)]


def answers_of(cell: Cell) -> list[Answer]:
    """What lies in ``diagnostics/`` beside a cell's ``summary.json``."""
    if cell.path.name != SUMMARY:
        return []
    files = sorted((cell.path.parent / FOLDER).glob("*.json"))
    records = [(file, read_json(file) or {}) for file in files]
    return [Answer(cell, file, file.stat().st_mtime, record) for file, record in records if "question" in record]


def _name(answer: Answer) -> str:
    return answer.question


def _asked(answers: Iterable[Answer], cells: Sequence[Cell]) -> Asked:
    answers = list(answers)
    unequal = [(answer, stale) for answer in answers if (stale := answer.stale())]
    old = {answer for answer, _ in unequal}
    parts = alike([answer for answer in answers if answer not in old], lambda answer: canonical(answer.facts()))
    chosen = max(parts, key=lambda part: (len(part), max(answer.written for answer in part)), default=[])
    for part in parts:
        if part is not chosen:
            unequal += [(answer, differences(answer.facts(), chosen[0].facts())) for answer in part]
    answered = {answer.cell for answer in answers}
    missing = [cell for cell in cells if cell not in answered]
    return Asked(answers[0].question, {answer.cell: answer for answer in chosen}, unequal, missing)
