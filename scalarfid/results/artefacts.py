"""Headline numbers of diagnostics, arms paired by seed: whether a probe reduces an artefact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from scalarfid.results.answers import Answer, Asked, Measure, asked
from scalarfid.results.comparison import control_of, pairs
from scalarfid.results.groups import BARE, CONTROLS, Arm, Group
from scalarfid.results.matched import Matched, corrected, matched
from scalarfid.results.paired import absolute_changes, paired

UNSURE = "cannot tell"
ABSENT = "absent in both"
NOTHING_TO_REDUCE = "nothing to reduce"


@dataclass(frozen=True)
class Change(Matched):
    """One row of the table: the deviations by one measure, in its unit; ``result`` is of their differences.

    Attributes:
        measure: of the artefact.
        without: seeds at which both arms have answered and one or both without this number, as a melt that ends early.
    """

    WORDS: ClassVar[tuple[str, str]] = ("reduces", "increases")

    measure: Measure
    without: int

    @property
    def verdict(self) -> str:
        """``absent in both`` where every deviation of both arms is zero, else as of any row.

        ``cannot tell`` where answers have no number: runs that fail would leave the comparison to those that do not.
        """
        if self.without:
            return f"{UNSURE} ({self.without} without a number)"
        return super().verdict if any([*self.values, *self.references]) else ABSENT


@dataclass(frozen=True)
class Verdict:
    """Whether an arm reduces an artefact.

    Attributes:
        measure: of the artefact.
        arm: with a probe that has a control.
        bare, control: against ``none`` and against the control; None where there is no such row.
    """

    measure: Measure
    arm: Arm
    bare: Change | None
    control: Change | None

    @property
    def answer(self) -> str:
        """``yes`` where both rows are reduced, ``no`` where one is increased, else ``cannot tell``.

        ``nothing to reduce`` where no model of the three arms has the artefact.
        """
        found = {UNSURE if row is None else row.verdict for row in (self.bare, self.control)}
        if "increases" in found:
            return "no"
        if found == {ABSENT}:
            return NOTHING_TO_REDUCE
        return "yes" if found == {"reduces"} else UNSURE


@dataclass(frozen=True)
class Physics:
    """What the diagnostics of a group's cells say.

    Attributes:
        group: whose cells were asked.
        asked: questions that some cell has answered.
        rows: comparisons by measure and arm, corrected together.
    """

    group: Group
    asked: list[Asked]
    rows: list[Change]

    @property
    def measures(self) -> list[tuple[Asked, Measure]]:
        """Headlines with their questions."""
        return [(question, measure) for question in self.asked for measure in question.measures]

    @property
    def answers(self) -> Iterator[tuple[Answer, str | None]]:
        """Every answer, and why it is not compared."""
        for question in self.asked:
            yield from ((answer, None) for answer in question.answers.values())
            for answer, differences in question.unequal:
                yield answer, f"differs in {', '.join(name for name, _, _ in differences)}"

    @property
    def verdicts(self) -> list[Verdict]:
        """A line a measure and arm that was asked, where the probe has a control."""
        arms = [arm for arm in self.group.arms if arm.probe in CONTROLS]
        compared = dict.fromkeys(row.measure for row in self.rows)
        found = [self._verdict(measure, arm) for measure in compared for arm in arms]
        return [verdict for verdict in found if verdict.bare or verdict.control]

    def _verdict(self, measure: Measure, arm: Arm) -> Verdict:
        rows = {row.reference.label: row for row in self.rows if (row.measure, row.arm) == (measure, arm)}
        control = control_of(self.group, arm)
        return Verdict(measure, arm, rows.get(BARE), rows.get(control.label) if control else None)


def physics(group: Group) -> Physics:
    """Ask the cells of a group for their answers and compare them."""
    found = asked(group.cells)
    rows = [row for question in found for measure in question.measures for row in _rows(group, question, measure)]
    return Physics(group, found, corrected(rows))


def _rows(group: Group, question: Asked, measure: Measure) -> Iterator[Change]:
    for arm, reference in pairs(group):
        found = matched(arm, reference, partial(question.deviation, measure=measure))
        if found:
            shared = arm.cells.keys() & reference.cells.keys()
            answered = sum({arm.cells[seed], reference.cells[seed]} <= question.answers.keys() for seed in shared)
            result = paired(absolute_changes(*found[1:]))
            yield Change(arm, reference, *found, result, measure, answered - len(found[0]))
