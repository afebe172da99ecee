"""metrics.csv reads back exactly and can be cut back to a checkpoint."""

from __future__ import annotations

import csv

from scalarfid.training.history import History, columns


def test_columns_are_the_documented_names():
    names = columns({"energy", "forces"})
    assert names[:4] == ["epoch", "step", "lr", "lr_probe"]
    assert {"train/energy_per_atom_mae", "val/forces_rmse", "val/loss_forces", "val/loss_forces_weighted"} <= set(names)
    assert not any("stress" in name for name in names)


def test_numbers_read_back_exactly_and_what_was_not_measured_is_empty(tmp_path):
    history = History(tmp_path / "metrics.csv", {"forces"})
    history.truncate(0)
    history.append({"epoch": 0, "step": 3, "lr": 0.1 + 0.2, "train/loss": 1e-17})
    with history.path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["lr"]) == 0.1 + 0.2
    assert float(row["train/loss"]) == 1e-17
    assert row["val/loss"] == ""


def test_truncation_drops_later_epochs_and_rows_cut_short(tmp_path):
    history = History(tmp_path / "metrics.csv", {"forces"})
    history.truncate(0)
    for epoch in range(4):
        history.append({"epoch": epoch, "step": 2 * epoch})
    whole = history.path.read_text().splitlines()
    with history.path.open("a") as file:
        file.write("1,2,0.0")
    history.truncate(2)
    assert history.path.read_text().splitlines() == whole[:3]
