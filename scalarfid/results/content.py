"""What a report says of a group of runs, and of those that are in no group, as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalarfid.results.cells import Cell
from scalarfid.results.comparison import CLAIMED_FLOPS, CLAIMED_FOR, CLAIMS, PAPER, Comparison, foremost, quantities
from scalarfid.results.cost_sheets import change, costs, times
from scalarfid.results.facts import caption
from scalarfid.results.groups import BARE, CONTROLS, Arm, Group, alike
from scalarfid.results.pending import Planned, Unfinished
from scalarfid.results.sheets import NOTHING, Sheet, by_seed, count, result_of, signed
from scalarfid.results.summary import UnreadableError
from scalarfid.results.tables import KINDS
from scalarfid.results.units import MEV, Quantity, in_mev


@dataclass(frozen=True)
class Section:
    """One group: its caption, its tables, and the figures by title that the writer adds."""

    title: str
    caption: list[str]
    sheets: list[Sheet]


def section(group: Group, rows: Sequence[Comparison]) -> Section:
    """Everything that is said about a group."""
    sheets = [verdicts(group, rows), hashes(group), paper(group, rows), errors(group), costs(group), times(group)]
    sheets += [missing(group), not_compared(group), cells(group)]
    return Section(group.title, caption(group, rows), [sheet for sheet in sheets if sheet.rows])


def overview(found: Sequence[tuple[Group, list[Comparison]]]) -> Sheet:
    """Change of the force error, of the foremost arms; a line each."""
    rows = [
        [group.title, *result_of(row)]
        for group, compared in found
        for row in foremost(group, compared)
        if row.quantity.label == "forces"
    ]
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


def hashes(group: Group) -> Sheet:
    """Configuration hash of every cell that the rows above compare, by arm and seed."""
    rows = [
        [arm.label, *(arm.cells[seed].hash if seed in arm.cells else NOTHING for seed in group.seeds)]
        for arm in group.arms
    ]
    return Sheet("Configuration hashes by arm and seed", ["arm", *(f"s{seed}" for seed in group.seeds)], rows)


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
    body.append([NOTHING, "FLOPs", f"about {signed(CLAIMED_FLOPS)}", change(arm[0], bare[0], "flops", "total")]
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


def _dearer(row: Comparison) -> list[str]:
    """Relative parameters, FLOPs and training time of arm against reference."""
    keys = (("parameters", "total"), ("flops", "total"), ("training_time_s",))
    return [change(row.arm, row.reference, *key) for key in keys]


def _spread(arm: Arm, split: str, quantity: Quantity, kind: str) -> str:
    values = [cell.error(split, f"{quantity.metric}_{kind}") for cell in arm.cells.values()]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return in_mev(known[0] if known else None)
    mean, deviation = float(np.mean(known)), MEV * float(np.std(known, ddof=1))
    shown = in_mev(mean)
    return f"{shown} ± {deviation:.{len(shown.partition('.')[2])}f}"


def _costs_of(cell: Cell) -> list[str]:
    best = cell.get("best_epoch")  # counted from 0
    epochs = [count(cell.get("epochs"), 1.0, 0), count(None if best is None else best + 1, 1.0, 0)]
    counts = [count(cell.get("parameters", "total"), 1.0, 0), count(cell.get("flops", "total"), 1e6, 2)]
    return epochs + counts + [count(cell.get(name), 1.0, 0) for name in ("training_time_s", "peak_memory_MB")]


def _text(name: str, value: Any) -> str:
    if value is None:
        return "missing"
    return str(value)[:12] if name == "fingerprint" else str(value)
