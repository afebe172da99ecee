"""What a report says, as tables of text: the same for every format that it is written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalarfid.results.cells import Cell
from scalarfid.results.comparison import CLAIMED_FLOPS, CLAIMED_FOR, CLAIMS, PAPER, Comparison, quantities
from scalarfid.results.facts import caption
from scalarfid.results.groups import BARE, CONTROLS, Arm, Group, alike
from scalarfid.results.matched import Matched
from scalarfid.results.pending import Planned, Unfinished
from scalarfid.results.summary import UnreadableError
from scalarfid.results.tables import KINDS
from scalarfid.results.units import MEV, Quantity, in_mev

NOTHING = "–"


@dataclass(frozen=True)
class Sheet:
    """A table of text: title, header with units, rows, notes beneath; ``folded`` ones are for looking things up."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """One group: its caption, its tables, and the figures by title that the writer adds."""

    title: str
    caption: list[str]
    sheets: list[Sheet]


def section(group: Group, rows: Sequence[Comparison]) -> Section:
    """Everything that is said about a group."""
    sheets = [verdicts(group, rows), paper(group, rows), errors(group), costs(group), missing(group)]
    sheets += [not_compared(group), cells(group)]
    return Section(group.title, caption(group, rows), [sheet for sheet in sheets if sheet.rows])


def overview(found: Sequence[tuple[Group, list[Comparison]]]) -> Sheet:
    """Force error of PAN+PGS on the first test split, or of what there is of probes with a control; a line each."""
    rows = []
    for group, compared in found:
        first = [row for row in compared if row.quantity.label == "forces" and row.split == group.splits[0]]
        wanted = [row for row in first if row.arm.label == "pan+pgs"] or [r for r in first if r.arm.probe in CONTROLS]
        rows += [[group.title, *result_of(row)] for row in wanted]
    header = ["group", "arm", "against", "force MAE, change (%)", "95 % interval (%)", "n", "p, Holm", "verdict"]
    return Sheet("At a glance", header, rows)


def verdicts(group: Group, rows: Sequence[Comparison]) -> Sheet:
    """Every comparison with its interval, verdict and paired values."""
    several = len(group.splits) > 1
    header = ["arm", "against", *(["split"] if several else []), "MAE of"]
    header += ["arm (meV)", "reference (meV)", "change (%)", "95 % interval (%)", "n", "p, Holm", "verdict"]
    header += ["change by seed (%)", "Δ parameters (%)", "Δ FLOPs (%)", "Δ time (%)"]
    body = []
    for row in rows:
        arm, against, *result = result_of(row)
        named = [arm, against, *([row.split] if several else []), f"{row.quantity.symbol} ({row.quantity.shown_unit})"]
        means = [in_mev(float(np.mean(values))) for values in (row.values, row.references)]
        body.append([*named, *means, *result, by_seed(row.seeds, row.changes), *_dearer(row)])
    notes = ["Change: mean over seeds of (arm − reference)/reference; negative is better. E is per atom."]
    lonely = [arm.label for arm in group.arms if arm.probe in CONTROLS and not group.named(CONTROLS[arm.probe])]
    notes += [f"No control in this group for {', '.join(lonely)}."] if lonely else []
    return Sheet("Arms paired by seed", header, body, notes)


def paper(group: Group, rows: Sequence[Comparison]) -> Sheet:
    """The claims of the paper beside what was found here; only for the backbone they are about."""
    backbone, probe = CLAIMED_FOR
    arm, bare = ([arm for arm in group.arms if arm.label == name][:1] for name in (probe, BARE))
    header = ["split", "quantity", f"{PAPER} (%)", "here (%)", "95 % interval (%)", "n", "verdict"]
    if group.backbone != backbone or not arm or not bare:
        return Sheet("", header, [])
    body = []
    for row in rows:
        if row.claim:
            low, high = map(signed, row.claim)
            result = result_of(row)[2:]
            body.append([row.split, f"{row.quantity.symbol} error", f"{low} … {high}", *result[:3], result[4]])
    claimed = {row.quantity.label for row in rows if row.claim}
    body.append([NOTHING, "FLOPs", f"about {signed(CLAIMED_FLOPS)}", _change(arm[0], bare[0], "flops", "total")]
                + [NOTHING] * 3)  # fmt: skip
    notes = [
        f"{probe} against bare {backbone}. The abstract does not say whether its errors are MAE or RMSE; here, MAE.",
        *(["No stress labels in this set."] if "stress" not in claimed and "stress" in CLAIMS else []),
    ]
    return Sheet("The paper's claims beside these numbers", header, body, notes)


def errors(group: Group) -> Sheet:
    """MAE and RMSE of every arm, mean ± standard deviation over seeds, and of predicting the mean."""
    shown = list(dict.fromkeys(q for split in group.splits for q in quantities(group, split)))
    header = ["split", "arm", "n", *(f"{q.symbol} {kind.upper()} ({q.shown_unit})" for q in shown for kind in KINDS)]
    body = []
    for split in group.splits:
        for arm in group.arms:
            found = [_spread(arm, split, q, kind) for q in shown for kind in KINDS]
            body.append([split, arm.label, str(len(arm.cells)), *found])
        mean = [group.any_cell.error(split, f"{q.metric}_{kind}", of="mean_predictor") for q in shown for kind in KINDS]
        body.append([split, "mean predictor", NOTHING, *map(in_mev, mean)])
    return Sheet("Errors", header, body, ["Mean ± standard deviation over seeds."])


def costs(group: Group) -> Sheet:
    """Parameters, FLOPs, wall time and memory of every arm, and what they add to ``none``."""
    bare = group.named(BARE)[:1]
    header = ["arm", "parameters", "Δ (%)", "FLOPs (10⁶)", "matmul (10⁶)", "other (10⁶)", "Δ (%)"]
    header += ["training (s)", "Δ (%)", "peak memory (MB)"]
    body = []
    for arm in group.arms:
        counts = [_count(arm.first.get("parameters", "total"), 1.0, 0)]
        counts += [_change(arm, one, "parameters", "total") for one in bare]
        counts += [_count(arm.first.get("flops", part), 1e6, 2) for part in ("total", "matmul", "elementwise")]
        counts += [_change(arm, one, "flops", "total") for one in bare]
        counts += [_mean_of(arm, "training_time_s"), *(_change(arm, one, "training_time_s") for one in bare)]
        body.append([arm.label, *counts, _mean_of(arm, "peak_memory_MB")])
    if not bare:
        header = [name for name in header if name != "Δ (%)"]
    return Sheet("Cost", header, body, _cost_notes(group))


def _cost_notes(group: Group) -> list[str]:
    atoms, edges = (group.any_cell.get("flops", name) for name in ("atoms", "edges"))
    frame = f" ({atoms} atoms, {edges} edges)" if atoms else ""
    return [
        f"FLOPs: energy and forces of the first test frame{frame} at inference. Δ: against {BARE}; of times, paired by "
        "seed. Times and memory: mean ± standard deviation over seeds, whatever else the machine did. Memory is that "
        "of the whole process, which earlier runs in the same process may have raised."
    ]


def missing(group: Group) -> Sheet:
    """Seeds that an arm lacks, and errors that are not numbers."""
    body = [[arm.label, ", ".join(map(str, seeds)), "no finished cell that agrees"] for arm, seeds in group.missing]
    for arm in group.arms:
        for seed, cell in arm.cells.items():
            names = [f"{split}/{q.metric}_mae" for split in group.splits for q in quantities(group, split)]
            lost = [name for name in names if cell.error(*name.split("/")) is None]
            body += [[arm.label, str(seed), f"no number for {', '.join(lost)}"]] if lost else []
    return Sheet("Missing", ["arm", "seeds", "what"], body)


def not_compared(group: Group) -> Sheet:
    """Finished cells that enter no number above, and why."""
    body = []
    for unequal in group.unequal:
        for i, (name, mine, common) in enumerate(unequal.differences):
            head = [unequal.cell.name, unequal.cell.probe, str(unequal.cell.seed)] if not i else [""] * 3
            body.append([*head, name, _text(name, mine), _text(name, common)])
    for old, new in group.replaced:
        body.append([old.name, old.probe, str(old.seed), "an older one of two", str(old.path), str(new.path)])
    return Sheet("Not compared", ["cell", "probe", "seed", "what differs", "its value", "the group's value"], body)


def cells(group: Group) -> Sheet:
    """Every cell that is compared, with its hash, errors and cost."""
    columns = [(split, q) for split in group.splits for q in quantities(group, split)]
    prefix = {split: f"{split} " if len(group.splits) > 1 else "" for split in group.splits}
    header = ["arm", "seed", "hash", *(f"{prefix[split]}{q.symbol} MAE ({q.shown_unit})" for split, q in columns)]
    header += ["epochs", "best epoch", "parameters", "FLOPs (10⁶)", "training (s)", "peak memory (MB)"]
    body = []
    for arm in group.arms:
        for seed, cell in arm.cells.items():
            values = [in_mev(cell.error(split, f"{q.metric}_mae")) for split, q in columns]
            body.append([arm.label, str(seed), cell.hash, *values, *_costs_of(cell)])
    return Sheet("Cells", header, body, folded=True)


def unfinished(found: Sequence[Unfinished]) -> Sheet:
    """Run directories that have not ended."""
    rows = [[run.name, run.state, NOTHING if run.epoch is None else str(run.epoch), run.error] for run in found]
    return Sheet("Unfinished", ["run directory", "state", "epoch", "last line of the error"], rows)


def not_begun(found: Sequence[Planned]) -> Sheet:
    """Cells of the grids that have no run directory, counted by dataset, backbone and probe."""
    rows = []
    for same in alike(found, lambda cell: (cell.dataset, cell.backbone, cell.probe)):
        seeds = ", ".join(map(str, sorted({cell.seed for cell in same})))
        rows.append([same[0].dataset, same[0].backbone, same[0].probe, str(len(same)), seeds])
    notes = ["Cells that a launcher was given (.sweep/grid.json) and that have neither status.json nor summary.json."]
    return Sheet("Not begun", ["dataset", "backbone", "probe", "cells", "seeds"], rows, notes)


def unreadable(found: Sequence[UnreadableError]) -> Sheet:
    """Files that enter no number because they are damaged."""
    rows = [[error.path.parent.name, str(error.path), error.why, error.remedy] for error in found]
    return Sheet("Unreadable", ["run directory", "file", "why", "remedy"], rows)


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


def _dearer(row: Comparison) -> list[str]:
    """Relative parameters, FLOPs and training time of arm against reference."""
    keys = (("parameters", "total"), ("flops", "total"), ("training_time_s",))
    return [_change(row.arm, row.reference, *key) for key in keys]


def _change(arm: Arm, other: Arm, *keys: str) -> str:
    """Mean over common seeds of the relative change of a number, in %; a dash for an arm and itself."""
    if arm is other:
        return NOTHING
    seeds = arm.cells.keys() & other.cells.keys()
    pairs = [(arm.cells[seed].get(*keys), other.cells[seed].get(*keys)) for seed in sorted(seeds)]
    changes = [100.0 * (mine - its) / its for mine, its in pairs if mine is not None and its]
    return signed(float(np.mean(changes))) if changes else NOTHING


def _spread(arm: Arm, split: str, quantity: Quantity, kind: str) -> str:
    values = [cell.error(split, f"{quantity.metric}_{kind}") for cell in arm.cells.values()]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return in_mev(known[0] if known else None)
    mean, deviation = float(np.mean(known)), MEV * float(np.std(known, ddof=1))
    shown = in_mev(mean)
    return f"{shown} ± {deviation:.{len(shown.partition('.')[2])}f}"


def _mean_of(arm: Arm, key: str) -> str:
    values = [value for cell in arm.cells.values() if (value := cell.get(key)) is not None]
    if not values:
        return NOTHING
    spread = f" ± {np.std(values, ddof=1):.0f}" if len(values) > 1 else ""
    return f"{np.mean(values):.0f}{spread}"


def _costs_of(cell: Cell) -> list[str]:
    epochs = [NOTHING if cell.get(name) is None else str(cell.get(name)) for name in ("epochs", "best_epoch")]
    counts = [_count(cell.get("parameters", "total"), 1.0, 0), _count(cell.get("flops", "total"), 1e6, 2)]
    return epochs + counts + [_count(cell.get(name), 1.0, 0) for name in ("training_time_s", "peak_memory_MB")]


def _count(value: float | None, unit: float, digits: int) -> str:
    return NOTHING if value is None else f"{value / unit:.{digits}f}"


def _text(name: str, value: Any) -> str:
    if value is None:
        return "missing"
    return str(value)[:12] if name == "fingerprint" else str(value)
