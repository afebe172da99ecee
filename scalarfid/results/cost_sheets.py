"""What a report says about cost, as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalarfid.results.cost import CLOCKS, Slower, dearer, median, slower, unequal_conditions
from scalarfid.results.groups import BARE, Arm, Group
from scalarfid.results.sheets import NOTHING, Sheet, by_seed, count, result_of, signed

TIME = "training_time_s"


def costs(group: Group) -> Sheet:
    """Parameters, FLOPs, times and memory of every arm, and what they add to ``none``."""
    bare = group.named(BARE)[:1]
    columns = [
        ("parameters", 1.0, 0, ("parameters", "total")),
        ("FLOPs (10⁶)", 1e6, 2, ("flops", "total")),
        ("matmul (10⁶)", 1e6, 2, ("flops", "matmul")),
        ("other (10⁶)", 1e6, 2, ("flops", "elementwise")),
        ("training (s)", 1.0, 0, (TIME,)),
        ("processor (s)", 1.0, 0, ("processor_time_s",)),
        ("peak memory (MB)", 1.0, 0, ("peak_memory_MB",)),
    ]
    header, body = ["arm"], [[arm.label] for arm in group.arms]
    for name, unit, digits, keys in columns:
        if keys == ("processor_time_s",) and all(median(arm, *keys) is None for arm in group.arms):
            continue  # older summaries
        compared = bare if keys[-1] in ("total", TIME) else []
        header += [name, *("Δ (%)" for _ in compared)]
        for arm, row in zip(group.arms, body, strict=True):
            row += [count(median(arm, *keys), unit, digits), *(change(arm, one, *keys) for one in compared)]
    return Sheet("Cost", header, body, _notes(group))


def times(group: Group) -> Sheet:
    """Training times of every pair of the tables, with their changes seed by seed."""
    header = ["arm", "against", "clock", "arm (s)", "reference (s)", "median change (%)", "mean change (%)"]
    header += ["95 % interval (%)", "n", "change by seed (%)"]
    notes = [
        "Of arm and reference the medians over the seeds of the pairs. The 95 % interval is that of the mean change: "
        "one run that was disturbed moves the mean, and hardly the median. Times are no part of the tests."
    ]
    return Sheet("Training time, arms paired by seed", header, [_time_row(row) for row in slower(group)], notes)


def change(arm: Arm, other: Arm, *keys: str) -> str:
    """Median over common seeds of a relative change; a dash for an arm and itself, times withheld with the reason."""
    if arm is other:
        return NOTHING
    unequal = unequal_conditions(arm, other) if keys[0] in CLOCKS else []
    if unequal:
        return _withheld(unequal)
    found = dearer(arm, other, *keys)
    return NOTHING if found is None else signed(found)


def _time_row(row: Slower) -> list[str]:
    arm, reference, mean, interval, n, *_ = result_of(row)
    medians = [count(float(np.median(values)), 1.0, 0) for values in (row.values, row.references)]
    head = [arm, reference, CLOCKS[row.clock], *medians]
    if row.unequal:
        return [*head, _withheld(row.unequal), NOTHING, NOTHING, n, NOTHING]
    return [*head, signed(float(np.median(row.changes))), mean, interval, n, by_seed(row.seeds, row.changes)]


def _withheld(unequal: Sequence[str]) -> str:
    return f"withheld ({', '.join(unequal)})"


def _notes(group: Group) -> list[str]:
    atoms, edges = (group.any_cell.get("flops", name) for name in ("atoms", "edges"))
    frame = f" ({atoms} atoms, {edges} edges)" if atoms else ""
    return [
        f"FLOPs: energy and forces of the first test frame{frame} at inference. Medians over seeds; Δ: median over "
        f"seeds of the change against {BARE} at the same seed. Training: by the clock, whatever else the machine did. "
        "Memory is that of the whole process, which earlier runs in the same process may have raised."
    ]
