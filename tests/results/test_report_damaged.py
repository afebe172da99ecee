"""Damaged files beside good ones: each is listed with its reason and its remedy, and changes no number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from results.sweeps import cell, edit, rows

from scalarfid.errors import ScalarFidError
from scalarfid.report import main
from scalarfid.results.cells import read_cells
from scalarfid.results.writing import write_report

pytestmark = pytest.mark.usefixtures("no_figures")


def changed(**changes):
    """How to damage a summary: entries by dotted name."""
    return lambda file: edit(file, changes)


def unequal_columns(file):
    history = json.loads(file.read_text())["history"]
    edit(file, {"history": history | {"val/forces_mae": history["val/forces_mae"][:-1]}})


def bin_without_an_error(file):
    record = json.loads(file.read_text())
    del record["binned"]["test"]["element"][0]["forces_mae"]
    file.write_text(json.dumps(record))


DAMAGE = {
    "is not UTF-8": lambda file: file.write_bytes(file.read_bytes().replace(b'"pan', b'"\xff\xfe')),
    "is not JSON": lambda file: file.write_text(file.read_text()[:-20]),
    "is not a JSON object": lambda file: file.write_text("[]"),
    "has no 'probe'": lambda file: file.write_text('{"backbone": "mace"}'),
    "has seed null, not a whole number": changed(seed=None),
    "has seed '1', not a whole number": changed(seed="1"),
    "has seed True, not a whole number": changed(seed=True),
    "has probe null, not text": changed(probe=None),
    "has metrics.test 'none', not an object": changed(**{"metrics.test": "none"}),
    "has metrics.test.forces_mae '0.1', not a number": changed(**{"metrics.test.forces_mae": "0.1"}),
    "has parameters.total 'many', not a whole number": changed(**{"parameters.total": "many"}),
    "has flops 'many', not an object": changed(flops="many"),
    "has training_time_s '1 s', not a number": changed(training_time_s="1 s"),
    "has columns of unequal length in history": unequal_columns,
    "has rows without an epoch in history": changed(**{"history.epoch": [None, 1.0, 2.0]}),
    "has no 'binned.test.element[0].forces_mae'": bin_without_an_error,
    "has bins that are not all numbers or all text": changed(
        **{"binned.test.element": [{"bin": b, "atoms": 1, "forces_mae": 0.1, "forces_rmse": 0.1} for b in ("C", 1)]}
    ),
}


@pytest.mark.parametrize("why", DAMAGE)
def test_a_damaged_summary_is_listed_and_the_rest_is_reported(folder, capfd, why):
    file = cell(folder, "pan+pgs", 1)
    kept = file.read_text()
    file.unlink()
    assert main([str(folder), f"out={folder.parent / 'without'}"]) == 0
    file.write_text(kept)
    DAMAGE[why](file)
    capfd.readouterr()
    assert main([str(folder), f"out={folder.parent / 'with'}"]) == 0
    for name in ("cells.csv", "comparisons.csv"):
        assert (folder.parent / "with" / name).read_text() == (folder.parent / "without" / name).read_text()
    text = (folder.parent / "with" / "report.md").read_text()
    (line,) = [line for line in text.splitlines() if str(file) in line]
    assert why in line
    assert line.endswith("| remove it and run its training command again |")
    assert why in " ".join(capfd.readouterr().err.split())


def test_without_a_summary_that_can_be_read_there_is_no_report(folder):
    for file in folder.glob("*/summary.json"):
        file.write_text("{")
    with pytest.raises(ScalarFidError, match="is not JSON"):
        write_report([folder], folder.parent / "out")


def test_numbers_that_json_does_not_have_are_missing_numbers(folder):
    file = cell(folder, "mlp", 0)
    edit(file, {"metrics.test.forces_mae": float("nan"), "training_time_s": float("inf")})
    cells, unreadable = read_cells([file])
    assert unreadable == []
    assert cells[0].error("test", "forces_mae") is None
    assert cells[0].get("training_time_s") is None


def test_a_summary_without_validation_of_forces_is_reported(folder):
    for file in folder.glob("*/summary.json"):
        edit(file, {"history": {"epoch": [0.0, 1.0]}})
    out = write_report([folder], folder.parent / "out").page.parent
    assert "No validation curves" in (out / "report.md").read_text()
    assert len(rows(out / "comparisons.csv")) == 6


@pytest.mark.parametrize("place", ["ablation", "ablation_untuned", "ablation_short", "first_light"])
def test_the_summaries_of_this_repository_are_read(place):
    cells, unreadable = read_cells([Path(__file__).resolve().parents[2] / "experiments" / place])
    assert cells
    assert unreadable == []
