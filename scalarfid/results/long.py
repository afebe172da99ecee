"""The two CSV files of a report: every number of every cell, and every comparison. Units are eV, Å and s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from scalarfid.results.cells import Cell
from scalarfid.results.comparison import Comparison
from scalarfid.results.groups import Group
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
    "evaluation_time_s": "s",
    "peak_memory_MB": "MB",
    "epochs": "1",
    "best_epoch": "1",
}
CELLS = ("dataset", "backbone", "split_fingerprint", "arm", "seed", "hash", "compared",
         "split", "metric", "bin", "value", "unit")  # fmt: skip


def cells_table(found: Iterable[Group]) -> pd.DataFrame:
    """One row per number: errors, errors of the mean predictor, errors by bin of atoms, and costs.

    ``compared`` is ``yes``, or says why the cell is in no comparison. Metrics are named as in the summaries:
    ``forces_mae``, ``mean_predictor.forces_mae``, ``binned.element.forces_mae`` (with a ``bin``), ``flops.total``.
    """
    rows = [{**head, **row} for group in found for head, cell in _members(group) for row in _numbers(cell)]
    return pd.DataFrame(rows, columns=CELLS)


def comparisons_table(rows: Iterable[tuple[Group, Comparison]]) -> pd.DataFrame:
    """One row per comparison, changes in %; lists (seeds, hashes, changes by seed) are separated by blanks."""
    return pd.DataFrame([_comparison(group, row) for group, row in rows])


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


def _comparison(group: Group, row: Comparison) -> dict[str, Any]:
    low, high = row.claim or (None, None)
    return {
        "dataset": group.dataset,
        "backbone": group.backbone,
        "split_fingerprint": group.any_cell.get("fingerprint"),
        "split": row.split,
        "metric": f"{row.quantity.metric}_mae",
        "unit": row.quantity.unit,
        "arm": row.arm.label,
        "reference": row.reference.label,
        "n": row.result.n,
        "seeds": _joined(row.seeds),
        "arm_hashes": _joined(row.arm.cells[seed].hash for seed in row.seeds),
        "reference_hashes": _joined(row.reference.cells[seed].hash for seed in row.seeds),
        "arm_mean": sum(row.values) / row.result.n,
        "reference_mean": sum(row.references) / row.result.n,
        "changes_percent": _joined(row.changes),
        "change_percent": row.result.mean,
        "low_percent": row.result.low,
        "high_percent": row.result.high,
        "p": row.result.p,
        "p_holm": row.adjusted,
        "verdict": row.verdict,
        "paper_low_percent": low,
        "paper_high_percent": high,
    }


def _joined(values: Iterable[object]) -> str:
    return " ".join(str(value) for value in values)
