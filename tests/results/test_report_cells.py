"""Which cells a report compares: those that agree. The others are shown, and change no number."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from results.sweeps import ARMS, SEEDS, cell, edit, invent, rows

from scalarfid.results.budget import budget
from scalarfid.results.cells import read_cells
from scalarfid.results.comparison import comparisons
from scalarfid.results.facts import flatness
from scalarfid.results.figures import pictures
from scalarfid.results.groups import groups
from scalarfid.results.writing import write_report

pytestmark = pytest.mark.usefixtures("no_figures")


def only_group(folder):
    (group,) = groups(read_cells([folder])[0])
    return group


def report(folder):
    """Comparisons, raw cells and text of a report on a folder."""
    out = write_report([folder], folder.parent / "out").page.parent
    return rows(out / "comparisons.csv"), rows(out / "cells.csv"), (out / "report.md").read_text()


UNEQUAL = {
    "fingerprint": "another",
    "schema": 1,
    "code": "000000000000",
    "cutoff": 4.0,
    "dtype": "float64",
    "e0.C": -1000.0,
    "scale": 2.0,
    "config.training.max_epochs": 400,
    "config.training.lr": 1.0,
    "config.backbone.channels": 64,
    "config.model.zbl": False,
    "versions.torch": "1.0",
    "versions.e3nn": "0.4.4",
    "versions.mace-torch": "0.3.0",
    "versions.nequip": "0.1",
    "versions.nequip-allegro": "0.1",
}


def test_an_unequal_cell_is_shown_and_changes_no_number(folder):
    file = cell(folder, "pan+pgs", 1)
    kept = file.read_text()
    file.unlink()
    without, _, _ = report(folder)
    for name, value in UNEQUAL.items():
        file.write_text(kept)
        edit(file, {name: value, "metrics.test.forces_mae": 1e6})
        group = only_group(folder)
        assert [unequal.cell.path for unequal in group.unequal] == [file], name
        assert [key.split(".")[-1] for key, _, _ in group.unequal[0].differences] == [name.split(".")[-1]]
        assert [row.changes for row in comparisons(group)] == [
            pytest.approx([float(x) for x in row["changes_percent"].split()]) for row in without
        ]
    table, raw, text = report(folder)
    assert table == without
    assert "## Not compared" in text
    assert "| versions.nequip-allegro | 0.1 | " in text
    assert {row["compared"] for row in raw} == {"yes", "differs in versions.nequip-allegro"}


def test_what_may_differ_does_not_keep_cells_apart(folder):
    edit(
        cell(folder, "mlp", 2), {"host": "elsewhere", "commit": "0", "versions.python": "3.99", "training_time_s": 1.0}
    )
    for probe in ARMS:
        edit(cell(folder, probe, 0), {"config.training.resume_from": f"runs/{probe}"})
    group = only_group(folder)
    assert len(group.unequal) == 3  # continued runs are not compared with runs begun anew
    for probe in ARMS:
        for seed in SEEDS[1:]:
            edit(cell(folder, probe, seed), {"config.training.resume_from": f"runs/{probe}-{seed}"})
    assert only_group(folder).unequal == []
    assert "2 machines" in report(folder)[2]


def test_the_rate_of_its_modules_is_an_arms_own_and_is_said(folder):
    assert "Learning rates of the modules" not in report(folder)[2]
    rate = 2e-3
    for seed in SEEDS:
        edit(cell(folder, "pan+pgs", seed), {"config.training.probe_lr": rate})
        edit(cell(folder, "none", seed), {"config.training.probe_lr": rate * seed})  # it has no modules
    group = only_group(folder)
    assert group.unequal == []
    assert [arm.label for arm in group.arms] == ["none", "pan+pgs", "mlp"]
    lr = group.any_cell.get("config", "training", "lr")
    assert f"Learning rates of the modules, an arm's own: pan+pgs {rate}, mlp {lr}." in report(folder)[2]


def test_an_arm_at_two_rates_is_two_forms(folder):
    for seed in SEEDS[:2]:
        copy = folder / f"slower-{seed}"
        shutil.copytree(cell(folder, "pan+pgs", seed).parent, copy)
        edit(copy / "summary.json", {"config.training.probe_lr": 1e-4})
    group = only_group(folder)
    assert [arm.label for arm in group.arms] == ["none", "pan+pgs", "pan+pgs (probe_lr=0.0001)", "mlp"]
    assert group.replaced == []


def test_of_equally_large_sets_the_newer_is_compared(folder):
    for probe in ARMS:
        edit(cell(folder, probe, 0), {"code": "new"})
        os.utime(cell(folder, probe, 0), (2e9, 2e9))
        shutil.rmtree(cell(folder, probe, 2).parent)
    group = only_group(folder)
    assert group.seeds == [0]
    assert len(group.unequal) == 3


def test_another_split_with_pairs_is_a_group_of_its_own(folder):
    for probe in ARMS:
        edit(cell(folder, probe, 2), {"fingerprint": "another"})
    assert [group.seeds for group in groups(read_cells([folder])[0])] == [[0, 1], [2]]
    assert {row["verdict"] for row in report(folder)[0] if row["n"] == "1"} == {"cannot tell (n = 1)"}


def test_a_missing_pair_and_an_unfinished_run_are_listed(folder):
    lost = cell(folder, "pan+pgs", 1)
    (lost.parent / "status.json").write_text(json.dumps({"state": "failed", "epoch": 2}))
    lost.unlink()
    table, _, text = report(folder)
    assert {row["n"] for row in table if row["arm"] == "pan+pgs"} == {"2"}
    assert "| pan+pgs | 1 | no finished cell that agrees |" in text
    assert f"| {lost.parent.name} | failed | 2 |  |" in text


def test_an_error_that_is_no_number_is_listed_and_not_paired(folder):
    edit(cell(folder, "mlp", 0), {"metrics.test.forces_mae": None})
    table, _, text = report(folder)
    assert [row["seeds"] for row in table if row["metric"] == "forces_mae" and row["reference"] == "mlp"] == ["1 2"]
    assert "| mlp | 0 | no number for test/forces_mae |" in text


def test_of_two_equal_cells_the_newer_counts(folder):
    file = cell(folder, "none", 0)
    before = [row.changes for row in comparisons(only_group(folder))]
    older = folder.parent / "runs" / "older" / file.parent.name / "summary.json"
    older.parent.mkdir(parents=True)
    shutil.copy2(file, older)
    edit(older, {"metrics.test.forces_mae": 1e6})
    os.utime(older, (0, 0))
    assert [row.changes for row in comparisons(only_group(folder))] == before
    _, raw, text = report(folder)
    assert "an older one of two" in text
    assert "replaced by a newer one" in {row["compared"] for row in raw}


def test_other_options_of_a_probe_are_an_arm_of_their_own(folder):
    source = cell(folder, "pan+pgs", 0)
    copy = folder / "copy" / "summary.json"
    copy.parent.mkdir()
    shutil.copy2(source, copy)
    edit(copy, {"config.probe.pan.hidden": 64})
    group = only_group(folder)
    assert [arm.label for arm in group.arms] == ["none", "pan+pgs", "pan+pgs (pan.hidden=64)", "mlp"]
    assert len(group.arms[1].cells) == 3
    variant = [row for row in comparisons(group) if row.arm.label.endswith("(pan.hidden=64)")]
    assert {row.verdict for row in variant} == {"cannot tell (n = 1)"}
    assert all(row.claim is None for row in variant)


def test_old_summaries_without_facts_are_shown_and_not_compared(folder):
    file = cell(folder, "mlp", 1)
    record = json.loads(file.read_text())
    kept = {key: record[key] for key in ("backbone", "probe", "dataset", "dataset_title", "seed", "metrics")}
    file.write_text(json.dumps(kept))
    group = only_group(folder)
    assert [unequal.cell.path for unequal in group.unequal] == [file]
    report(folder)
    for probe in ARMS:
        for seed in SEEDS:
            file = cell(folder, probe, seed)
            file.write_text(json.dumps(kept | {"probe": probe, "seed": seed}))
    group = only_group(folder)
    assert len(group.cells) == 9
    assert all(picture.svg() for picture in pictures(group, comparisons(group)))
    unknown = "the split, cutoff, precision, E0, scale, ZBL repulsion, budget, code"
    assert f"not recorded, so perhaps not equal: {unknown}" in report(folder)[2]


def test_verdicts_hold_after_correction_only(sweep, tmp_path):
    reference = [0.100, 0.110, 0.090, 0.105, 0.095]
    factors = {
        "pan": [0.70, 0.71, 0.69, 0.70, 0.71],
        "pgs": [1.30, 1.31, 1.29, 1.30, 1.28],
        "mlp_pan": [0.97, 0.998, 0.957, 0.985, 0.985],  # p = 0.04 by itself
        "mlp_pgs": [1.02, 0.97, 0.99, 1.01, 1.03],
    }
    errors = {arm: [f * x for f, x in zip(changes, reference, strict=True)] for arm, changes in factors.items()}
    folder = invent(cell(sweep, "none", 0), tmp_path / "runs", {"none": reference} | errors)
    found = {(row.arm.label, row.reference.label): row for row in comparisons(only_group(folder))}
    assert {key: row.verdict for key, row in found.items()} == {
        ("pan", "none"): "improves",
        ("pan", "mlp_pan"): "improves",
        ("mlp_pan", "none"): "cannot tell",
        ("pgs", "none"): "worse",
        ("pgs", "mlp_pgs"): "worse",
        ("mlp_pgs", "none"): "cannot tell",
    }
    alone = found["mlp_pan", "none"]
    assert alone.result.p < 0.05 <= alone.adjusted
    assert alone.result.high < 0


def test_equal_values_are_no_evidence(sweep, tmp_path):
    errors = {"none": [0.1, 0.1, 0.1], "pan": [0.05, 0.05, 0.05]}
    rows_ = comparisons(only_group(invent(cell(sweep, "none", 0), tmp_path / "runs", errors)))
    assert [row.verdict for row in rows_] == ["cannot tell (no spread)"]
    text = report(tmp_path / "runs")[2]
    assert "cannot tell (no spread)" in text
    assert "no row has two seeds or more that differ" in text


def test_a_sweep_without_bare_runs_is_reported_without_verdicts(sweep, tmp_path):
    folder = invent(cell(sweep, "none", 0), tmp_path / "runs", {"pan": [0.1, 0.2]})
    table, _, text = report(folder)
    assert table == []
    assert "nothing to compare with" in text


def test_flatness_is_that_of_the_best_error_over_the_last_fifth(sweep, tmp_path):
    curve = [10.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.2, 1.0, 1.3, 0.99]
    history = {"epoch": [float(i) for i in range(10)], "val/forces_mae": curve}
    folder = invent(cell(sweep, "none", 0), tmp_path / "runs", {"none": [0.1]}, history=history)
    assert flatness(only_group(folder)).startswith("Flat at the end: ")
    assert "1.0 % (none, seed 0)" in flatness(only_group(folder))
    history["val/forces_mae"][-1] = 0.9
    edit(cell(folder, "none", 0), {"history": history})
    assert "Not flat at the end" in flatness(only_group(folder))
    assert "10.0 %" in flatness(only_group(folder))


TRAINING = {
    "max_epochs": 20, "batch_size": 5, "batch_edges": None, "optimizer": "adamw", "lr": 0.01, "probe_lr": None,
    "weight_decay": 0.0, "clip": None, "schedule": "constant", "warmup_steps": 0, "min_lr_ratio": 0.1,
    "plateau": {"factor": 0.8, "patience": 5}, "ema_decay": None, "loss": "huber", "early_stopping": None,
    "energy_weight": 1.0, "forces_weight": 10.0, "stress_weight": 0.0, "resume_from": None,
    "stage_two": {"from_epoch": None, "energy_weight": None, "forces_weight": 50.0, "stress_weight": None, "lr": None},
}  # fmt: skip
PLAIN = (
    "20 epochs, batches of 5, adamw, learning rate 0.01, constant schedule, "
    "huber loss with weights energy 1.0, forces 10.0, stress 0.0"
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_edges": 4000}, "batches of about 4000 edges"),
        ({"schedule": "cosine", "warmup_steps": 50}, "cosine schedule to 0.1 of it after 50 warm-up batches"),
        ({"schedule": "plateau"}, "plateau schedule (× 0.8 after 5 validations)"),
        ({"weight_decay": 1e-5}, "weight decay 1e-05"),
        ({"clip": 10.0}, "gradients clipped at 10.0"),
        ({"ema_decay": 0.99}, "EMA 0.99"),
        ({"stage_two": TRAINING["stage_two"] | {"from_epoch": 15}}, "from epoch 15 weights forces 50.0"),
        ({"stage_two": {"from_epoch": 15, "lr": 0.001}}, "from epoch 15 learning rate 0.001"),
        ({"early_stopping": 9}, "stopped after 9 validations without a better loss"),
        ({"resume_from": "runs/a"}, "continued from another run"),
    ],
)
def test_the_budget_says_what_applies_and_nothing_that_is_off(changes, said):
    assert budget(TRAINING) == PLAIN
    assert said in budget(TRAINING | changes).replace(", stress 0.0", "")
    assert said not in PLAIN


def test_the_caption_has_the_whole_budget(folder):
    for file in folder.glob("*/summary.json"):
        edit(file, {"config.training": TRAINING, "config.model.zbl": False})
    text = report(folder)[2]
    assert f"budget {PLAIN}; " in text
    assert "ZBL repulsion off; " in text


def test_claims_are_about_mace_with_both_probes_against_bare(sweep, tmp_path):
    errors = {arm: [0.1, 0.12] for arm in ("none", "pan", "pan+pgs", "mlp")}
    for backbone, about in (("mace", {("pan+pgs", "none")}), ("allegro", set())):
        folder = invent(cell(sweep, "none", 0), tmp_path / backbone, errors, backbone=backbone)
        found = comparisons(only_group(folder))
        assert {(row.arm.label, row.reference.label) for row in found if row.claim} == about
