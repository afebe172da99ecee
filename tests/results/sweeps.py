"""A small sweep that was really trained, copies of it with numbers or facts of a test's own, and their reports."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.runs import train

ARMS = ("none", "pan+pgs", "mlp")
SEEDS = (0, 1, 2)
SHORT = ("training.max_epochs=3", "training.validate_every=1", "training.batch_size=4", "dataset.n_test=4")


def train_sweep(root: Path) -> Path:
    """Train every arm at every seed; return the folder of the run directories."""
    for probe in ARMS:
        for seed in SEEDS:
            train(root, f"probe={probe}", f"seed={seed}", *SHORT)
    return root / "default"


def copy_sweep(sweep: Path, folder: Path) -> Path:
    """Copy summaries and states alone, as someone does who keeps them."""
    for file in sweep.glob("*/*.json"):
        target = folder / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    return folder


def cell(folder: Path, probe: str, seed: int) -> Path:
    """Path of the summary of a cell."""
    (file,) = folder.glob(f"*-{probe}-*-s{seed}-*/summary.json")
    return file


def edit(file: Path, changes: Mapping[str, Any]) -> Path:
    """Change entries of a summary by dotted name (a slash instead, where a name has dots) and keep its time."""
    record, written = json.loads(file.read_text()), file.stat().st_mtime
    for name, value in changes.items():
        place = record
        *above, last = name.split(".")
        for key in above:
            place = place[key]
        place[last] = value
    file.write_text(json.dumps(record))
    os.utime(file, (written, written))
    return file


def invent(template: Path, folder: Path, errors: Mapping[str, Sequence[float]], **more: Any) -> Path:
    """Write a summary for each arm and seed with these force MAE (eV/Å) and no other error."""
    for probe, values in errors.items():
        for seed, value in enumerate(values):
            target = folder / f"x-{probe}-set-s{seed}-0" / "summary.json"
            target.parent.mkdir(parents=True)
            shutil.copy2(template, target)
            metrics = {"train": {}, "val": {}, "test": {"forces_mae": value}}
            facts = {"probe": probe, "seed": seed, "name": target.parent.name, "metrics": metrics}
            edit(target, {**facts, "config.probe": {"name": probe}, **more})
    return folder


def answer(
    summary: Path, question: str, numbers: Mapping[str, tuple[Any, str, Any]], unit: str = "eV", **facts: Any
) -> Path:
    """Write what a diagnostic has to say of a cell: (value, when it is better, the reference's) by name of headline."""
    record = {"question": question, "model": summary.parent.name, "reference": None, "dtype": "float64", "system": "x"}
    keys = ("value", "better", "reference")
    headlines = {name: {"unit": unit, **dict(zip(keys, of, strict=True))} for name, of in numbers.items()}
    record |= {"code": "0", "options": {"points": 20}, "findings": [], **facts}
    file = summary.parent / "diagnostics" / f"{question}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(record | {"numbers": {**headlines, "other": {"value": 1, "unit": ""}}}))
    return file


def rows(file: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))
