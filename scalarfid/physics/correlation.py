"""Which measure foretells stability: rank correlations over the runs of a sweep, with bootstrap intervals.

The claim of arXiv 2602.04861 is that the FSD of bond scans orders models by their stability in molecular dynamics
better than force errors do. Here every number that a diagnostic or a summary has is put to that test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json
from scalarfid.intervals import rank_correlation
from scalarfid.physics.outcome import Number

LEAST = 5
"""Runs; fewer have no rank correlation worth a number."""


def with_stability(folders: Sequence[Path], measures: Sequence[str] = (), *, seed: int = 0) -> dict[str, Number]:
    """Spearman's ρ of measures with the fraction of runs that survive, over run directories of one system.

    Args:
        folders: run directories with ``diagnostics/stability.json``; others are passed over.
        measures: names such as ``bsct.fsd`` (diagnostic, then number) or ``test.forces_mae`` (of ``summary.json``);
            empty for all. A measure counts where it has a value.
        seed: of the bootstrap.

    Returns:
        ρ by measure with its 95 % percentile interval; only measures that five runs have and that are not constant.

    Raises:
        ScalarFidError: fewer than five runs with an answer, or runs of several systems or settings.
    """
    records = {folder: record for folder in folders if (record := read_json(folder / "diagnostics" / "stability.json"))}
    _check(records)
    survived = {folder: record["numbers"]["survived"]["value"] for folder, record in records.items()}
    tables = {folder: values_of(folder) for folder in records}
    names = measures or sorted({name for table in tables.values() for name in table})
    found = {}
    for name in names:
        rows = [(tables[folder][name], survived[folder]) for folder in records if name in tables[folder]]
        if len(rows) >= LEAST:
            rho, low, high = rank_correlation(*np.array(rows).T, seed=seed)
            found |= {name: Number(rho, "", low, high)} if np.isfinite(rho) else {}
    return found


def values_of(folder: Path) -> dict[str, float]:
    """Every number of a run directory's diagnostics but of stability itself, and its test metrics."""
    found = {}
    for path in sorted((folder / "diagnostics").glob("*.json")):
        record = read_json(path) or {}
        if path.stem != "stability":
            found |= {f"{path.stem}.{name}": number["value"] for name, number in record.get("numbers", {}).items()}
    metrics = (read_json(folder / "summary.json") or {}).get("metrics", {})
    found |= {f"test.{name}": value for name, value in metrics.get("test", {}).items()}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}


def _check(records: Mapping[Path, Mapping[str, Any]]) -> None:
    if len(records) < LEAST:
        raise ScalarFidError(
            f"{len(records)} runs have diagnostics/stability.json, a correlation needs {LEAST}; run "
            "python -m scalarfid.diagnose -m model=… diagnostics=stability"
        )
    for of in ("system", "settings", "dtype"):
        if len({repr(record.get(of)) for record in records.values()}) > 1:
            raise ScalarFidError(f"the runs differ in the {of} of their stability; compare runs of one {of} at a time")
