"""The CSV files of a report: every number of every cell, and every comparison. Units of errors are eV, Å and s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from scalarfid.results.answers import Answer
from scalarfid.results.artefacts import Change, Physics
from scalarfid.results.cells import Cell
from scalarfid.results.comparison import Comparison
from scalarfid.results.groups import Group
from scalarfid.results.matched import Matched
from scalarfid.results.pooled import Pooled
from scalarfid.results.units import QUANTITIES

UNITS = {f"{q.metric}_{kind}": q.unit for q in QUANTITIES for kind in ("mae", "rmse")}
COSTS = {
    "parameters.backbone": "1",
    "parameters.probe": "1",
    "parameters.total": "1",
    "flops.matmul": "FLOP",
    "flops.elementwise": "FLOP",
    "flops.total": "FLOP",
    "training_time_s": "s",
    "processor_time_s": "s",
    "evaluation_time_s": "s",
    "peak_memory_MB": "MB",
    "epochs": "1",
    "best_epoch": "1",
}
CELLS = ("dataset", "backbone", "split_fingerprint", "arm", "seed", "hash", "compared",
         "split", "metric", "bin", "value", "unit")  # fmt: skip


def cells_table(found: Iterable[Physics]) -> pd.DataFrame:
    """One row per number: errors, errors of the mean predictor, errors by bin of atoms, costs, headlines of physics.

    ``compared`` is ``yes``, or says why the cell is in no comparison. Metrics are named as in the summaries:
    ``forces_mae``, ``mean_predictor.forces_mae``, ``binned.element.forces_mae`` (with a ``bin``), ``flops.total``, and
    ``physics.elastic.Si diamond.C11`` for what ``diagnostics/elastic.json`` has.
    """
    rows = []
    for one in found:
        members = list(_members(one.group))
        rows += [{**head, **row} for head, cell in members for row in _numbers(cell)]
        heads = {cell: head for head, cell in members}
        rows += [{**heads[answer.cell], **row} for answer, why in one.answers for row in _headlines(answer, why)]
    return pd.DataFrame(rows, columns=CELLS)


def comparisons_table(rows: Iterable[tuple[Group, Comparison]]) -> pd.DataFrame:
    """One row per comparison, changes in %; lists (seeds, hashes, changes by seed) are separated by blanks."""
    return pd.DataFrame([_comparison(group, row) for group, row in rows])


def pooled_table(rows: Iterable[Pooled]) -> pd.DataFrame:
    """One row per arm, reference and metric over all sets; ``changes_percent`` are the means of the sets, in order."""
    return pd.DataFrame([_pooled(row) for row in rows])


def physics_table(found: Iterable[Physics]) -> pd.DataFrame:
    """One row per comparison of headline numbers: deviations and their changes, in the unit of the number."""
    return pd.DataFrame([_change(one.group, row) for one in found for row in one.rows])


def _members(group: Group) -> Iterator[tuple[dict[str, Any], Cell]]:
    for arm in group.arms:
        for cell in arm.cells.values():
            yield _head(cell, arm.label, "yes"), cell
    for unequal in group.unequal:
        cell, names = unequal.cell, ", ".join(name for name, _, _ in unequal.differences)
        yield _head(cell, cell.probe, f"differs in {names}"), cell
    for old, _ in group.replaced:
        yield _head(old, old.probe, "replaced by a newer one"), old


def _head(cell: Cell, arm: str, compared: str) -> dict[str, Any]:
    return {
        "dataset": cell.get("dataset_title") or cell.record["dataset"],
        "backbone": cell.record["backbone"],
        "split_fingerprint": cell.get("fingerprint"),
        "arm": arm,
        "seed": cell.seed,
        "hash": cell.hash,
        "compared": compared,
    }


def _numbers(cell: Cell) -> Iterator[dict[str, Any]]:
    for of, prefix in (("metrics", ""), ("mean_predictor", "mean_predictor.")):
        for split, metrics in (cell.get(of) or {}).items():
            for metric, value in metrics.items():
                yield {"split": split, "metric": prefix + metric, "value": value, "unit": UNITS.get(metric)}
    for split, kinds in (cell.get("binned") or {}).items():
        for kind, bins in kinds.items():
            for entry in bins:
                yield from _bin(split, kind, entry)
    for metric, unit in COSTS.items():
        yield {"metric": metric, "value": cell.get(*metric.split(".")), "unit": unit}


def _bin(split: str, kind: str, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for metric, unit in (("forces_mae", "eV/Å"), ("forces_rmse", "eV/Å"), ("atoms", "1")):
        name = f"binned.{kind}.{metric}"
        yield {"split": split, "metric": name, "bin": entry["bin"], "value": entry[metric], "unit": unit}


def _headlines(answer: Answer, why: str | None) -> Iterator[dict[str, Any]]:
    compared = {} if why is None else {"compared": why}
    for measure in answer.headlines:
        metric = f"physics.{measure.question}.{measure.name}"
        yield {"metric": metric, "value": answer.value(measure), "unit": measure.unit or "1", **compared}


def _comparison(group: Group, row: Comparison) -> dict[str, Any]:
    low, high = row.claim or (None, None)
    return {
        **_place(group),
        "split": row.split,
        "metric": f"{row.quantity.metric}_mae",
        "unit": row.quantity.unit,
        **_matched(row, "percent"),
        "paper_low_percent": low,
        "paper_high_percent": high,
    }


def _change(group: Group, row: Change) -> dict[str, Any]:
    measure = row.measure
    return {
        **_place(group),
        "diagnostic": measure.question,
        "number": measure.name,
        "unit": measure.unit or "1",
        "better": measure.better,
        **_matched(row),
    }


def _pooled(row: Pooled) -> dict[str, Any]:
    return {
        "backbone": row.backbone,
        "metric": f"{row.quantity.metric}_mae",
        **_pair(row),
        "sets": len(row.rows),
        "datasets": "; ".join(group.dataset for group, _ in row.rows),
        "changes_percent": _joined(one.result.mean for _, one in row.rows),
        **_result(row, "_percent"),
    }


def _place(group: Group) -> dict[str, Any]:
    return {
        "dataset": group.dataset,
        "backbone": group.backbone,
        "split_fingerprint": group.any_cell.get("fingerprint"),
    }


def _matched(row: Matched, unit: str = "") -> dict[str, Any]:
    """What every comparison has; names of changes end in their unit where it is not that of the values."""
    end = f"_{unit}" if unit else ""
    return {
        **_pair(row),
        "seeds": _joined(row.seeds),
        "arm_hashes": _joined(row.arm.cells[seed].hash for seed in row.seeds),
        "reference_hashes": _joined(row.reference.cells[seed].hash for seed in row.seeds),
        "arm_mean": sum(row.values) / row.result.n,
        "reference_mean": sum(row.references) / row.result.n,
        f"changes{end}": _joined(row.changes),
        **_result(row, end),
    }


def _pair(row: Matched) -> dict[str, Any]:
    return {"arm": row.arm.label, "reference": row.reference.label, "n": row.result.n}


def _result(row: Matched, end: str) -> dict[str, Any]:
    return {
        f"change{end}": row.result.mean,
        f"low{end}": row.result.low,
        f"high{end}": row.result.high,
        "p": row.result.p,
        "p_holm": row.adjusted,
        "verdict": row.verdict,
    }


def _joined(values: Iterable[object]) -> str:
    return " ".join(str(value) for value in values)
