"""What a report says about physics, as tables of text: answers first, then every value and what is not compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scalarfid.results.answers import Asked, Measure
from scalarfid.results.artefacts import Physics
from scalarfid.results.cells import Cell
from scalarfid.results.content import Section
from scalarfid.results.sheets import NOTHING, Sheet, by_seed, result_of

BETTER = {"less": "less", "zero": "nearer to 0", "reference": "nearer to the reference"}
ANSWERS = ["artefact", "arm", "against none", "against the control", "reduced"]


def physics_section(found: Physics) -> Section:
    """Everything that is said about the physics of a group."""
    sheets = [answers(found), paired_rows(found), values(found), missing(found), not_compared(found)]
    return Section(f"Physics: {found.group.title}", caption(found), [sheet for sheet in sheets if sheet.rows])


def physics_overview(parts: Sequence[Physics]) -> Sheet:
    """The answers of all groups, and which groups were not asked."""
    rows = [[found.group.title, *row] for found in parts for row in answers(found).rows]
    silent = [found.group.title for found in parts if not found.asked]
    notes = [f"Not asked: {'; '.join(silent)}."] if silent else []
    return Sheet("Physics at a glance", ["group", *ANSWERS], rows, notes)


def answers(found: Physics) -> Sheet:
    """Whether an arm reduces each artefact against ``none`` and against its control."""
    rows = []
    for verdict in found.verdicts:
        against = [NOTHING if row is None else row.verdict for row in (verdict.bare, verdict.control)]
        rows.append([verdict.measure.title, verdict.arm.label, *against, verdict.answer])
    notes = [
        "Reduced: yes where it is against both, no where it is increased against one, nothing to reduce where no model "
        "of the three arms has it, else cannot tell."
    ]
    return Sheet("Does the arm reduce the artefact?", ANSWERS, rows, notes)


def paired_rows(found: Physics) -> Sheet:
    """Every comparison with its interval, verdict and paired values."""
    header = ["artefact", "arm", "against", "deviation", "the other's", "change", "95 % interval", "n", "p, Holm"]
    rows = []
    for row in found.rows:
        arm, against, *result = result_of(row, change)
        means = [number(float(np.mean(each))) for each in (row.values, row.references)]
        rows.append([row.measure.title, arm, against, *means, *result, by_seed(row.seeds, row.changes, change)])
    notes = [
        "Compared are deviations: of what should be less the value itself, of what should be nearer to 0 its size, of "
        "what should be nearer to the reference the distance from it. Negative changes are better."
    ]
    return Sheet("Deviations, arms paired by seed", [*header, "verdict", "change by seed"], rows, notes)


def values(found: Physics) -> Sheet:
    """Headline numbers as they are, by arm and seed, beside the reference's."""
    header = ["artefact", "better", "reference", "arm", "n", "mean ± SD", "by seed"]
    rows = []
    for question, measure in found.measures:
        head = [measure.title, better(question, measure), beside(question, measure)]
        for arm in found.group.arms:
            known = question.values(measure, arm.cells)
            if known:
                every = by_seed(known.keys(), known.values(), number)
                rows.append([*head, arm.label, str(len(known)), _spread(list(known.values())), every])
    return Sheet(
        "Headline numbers", header, rows, ["Mean ± standard deviation over seeds. A dash: no reference was asked."]
    )


def missing(found: Physics) -> Sheet:
    """Cells that were not asked what others were, and answers without a number that others have."""
    rows = []
    for question in found.asked:
        rows += [[question.name, *row, "not asked"] for row in _by_arm(found, question.missing)]
        if question.answers and not question.measures:
            rows += [
                [question.name, *row, "no headline numbers, ask again"] for row in _by_arm(found, question.answers)
            ]
        for measure in question.measures:
            lost = [cell for cell, answer in question.answers.items() if answer.value(measure) is None]
            rows += [[question.name, *row, f"no number for {measure.name}"] for row in _by_arm(found, lost)]
    return Sheet("Missing answers", ["diagnostic", "arm", "seeds", "what"], rows)


def not_compared(found: Physics) -> Sheet:
    """Answers with other settings, by other code or of another model than the cell's: they enter no number above."""
    header = ["cell", "diagnostic", "what differs", "its value", "the others'"]
    rows = []
    for question in found.asked:
        for answer, differences in question.unequal:
            for name, mine, common in differences:
                rows.append([answer.cell.name, question.name, name, str(mine), str(common)])
    return Sheet("Answers that are not compared", header, rows)


def caption(found: Physics) -> list[str]:
    """Sentences on where the numbers come from, what was asked, and the family of tests."""
    lines = ["From diagnostics/<name>.json beside the runs, which hold every setting and the hash of the model."]
    lines += [_asked(question, len(found.group.cells)) for question in found.asked]
    tests = sum(row.adjusted is not None for row in found.rows)
    if tests:
        lines.append(
            f"Verdicts: paired t tests, p after Holm's correction over the {tests} rows below that have a "
            "test; “reduces” and “increases” where it is below 0.05, “cannot tell” otherwise. The 95 % intervals are "
            "those of single rows, not corrected."
        )
    return lines


def better(question: Asked, measure: Measure) -> str:
    """When a measure is better, and whether that can be told."""
    known = measure.better != "reference" or question.truth(measure) is not None
    return BETTER[measure.better] if known else "no reference, not judged"


def beside(question: Asked, measure: Measure) -> str:
    """Name of the reference and its number, a dash where there is none."""
    truth = question.truth(measure)
    return (question.reference or NOTHING) + ("" if truth is None else f": {number(truth)}")


def number(value: float) -> str:
    """Four digits, a true minus."""
    return f"{value:.4g}".replace("-", "−")


def change(value: float) -> str:
    """Three digits with the sign, a true minus; zero has none."""
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _spread(known: Sequence[float]) -> str:
    spread = f" ± {np.std(known, ddof=1):.2g}" if len(known) > 1 else ""
    return number(float(np.mean(known))) + spread.replace("-", "−")


def _by_arm(found: Physics, cells: Iterable[Cell]) -> list[list[str]]:
    """Arm and seeds of cells, a line an arm."""
    wanted, lines = set(cells), []
    for arm in found.group.arms:
        seeds = [str(seed) for seed, cell in arm.cells.items() if cell in wanted]
        lines += [[arm.label, ", ".join(seeds)]] if seeds else []
    return lines


def _asked(question: Asked, cells: int) -> str:
    facts = next((answer.facts() for answer in question.answers.values()), {})
    options = [f"{name[8:]} {value}" for name, value in facts.items() if name.startswith("options.")]
    return (
        f"{question.name}: {len(question.answers)} of {cells} cells, {question.reference or 'no reference'}, "
        f"{facts.get('dtype')}, code {facts.get('code')}; {', '.join(options)}"
    )
