"""What a report says about cost follows from the summaries by a few independent lines."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from results.sweeps import ARMS, SEEDS, cell, copy_sweep, edit, rows
from scipy import stats

from scalarfid.results.cells import read_cells
from scalarfid.results.comparison import comparisons
from scalarfid.results.figures import pictures
from scalarfid.results.groups import groups
from scalarfid.results.writing import write_report

TIMES = {"none": [100.0, 110.0, 90.0], "pan+pgs": [112.0, 120.0, 900.0], "mlp": [105.0, 104.0, 99.0]}
PAIRS = [("pan+pgs", "none"), ("pan+pgs", "mlp"), ("mlp", "none")]


pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture
def folder(sweep, tmp_path):
    """The sweep with times of our own; the last run of pan+pgs was disturbed."""
    made = copy_sweep(sweep, tmp_path / "runs")
    for arm, found in TIMES.items():
        for seed, seconds in zip(SEEDS, found, strict=True):
            edit(cell(made, arm, seed), {"training_time_s": seconds, "processor_time_s": 0.9 * seconds})
    return made


def report(folder):
    return write_report([folder], folder.parent / "out").page.parent


def raw(folder, arm):
    return [json.loads(cell(folder, arm, seed).read_text()) for seed in SEEDS]


def table(text, title):
    """Rows of a table by its first cells, as {column: text}; columns of one name are numbered."""
    lines = text.partition(f"### {title}\n\n")[2].split("\n\n")[0].splitlines()
    header, _, *body = [[word.strip() for word in line.split("|")[1:-1]] for line in lines]
    names = [f"{name}{header[:i].count(name) or ''}" for i, name in enumerate(header)]
    return [dict(zip(names, row, strict=True)) for row in body]


def number(text):
    return float(text.replace("−", "-"))


def percent(mine, its):
    return 100 * (np.array(mine, dtype=float) / np.array(its, dtype=float) - 1)


def test_every_row_of_the_cost_table_follows_from_the_summaries(folder):
    found = {row["arm"]: row for row in table((report(folder) / "report.md").read_text(), "Cost")}
    assert list(found) == list(ARMS)
    for arm, row in found.items():
        mine, bare = raw(folder, arm), raw(folder, "none")
        size, its_size = mine[0]["parameters"]["total"], bare[0]["parameters"]["total"]
        flops, its_flops = mine[0]["flops"], bare[0]["flops"]["total"]
        assert number(row["parameters"]) == size == mine[0]["parameters"]["backbone"] + mine[0]["parameters"]["probe"]
        assert number(row["FLOPs (10⁶)"]) == pytest.approx(flops["total"] / 1e6, abs=0.005)
        assert number(row["matmul (10⁶)"]) == pytest.approx(flops["matmul"] / 1e6, abs=0.005)
        assert number(row["other (10⁶)"]) == pytest.approx((flops["total"] - flops["matmul"]) / 1e6, abs=0.005)
        assert number(row["training (s)"]) == pytest.approx(np.median(TIMES[arm]), abs=0.5)
        assert number(row["processor (s)"]) == pytest.approx(0.9 * np.median(TIMES[arm]), abs=0.5)
        memory = sorted(record["peak_memory_MB"] for record in mine)[1]
        assert number(row["peak memory (MB)"]) == pytest.approx(memory, abs=0.5)
        changes = [percent(size, its_size), percent(flops["total"], its_flops), percent(TIMES[arm], TIMES["none"])]
        for column, change in zip(("Δ (%)", "Δ (%)1", "Δ (%)2"), changes, strict=True):
            if arm == "none":
                assert row[column] == "–"
            else:
                assert number(row[column]) == pytest.approx(np.median(change), abs=0.051)


def test_times_are_shown_seed_by_seed_with_an_interval(folder):
    found = table((report(folder) / "report.md").read_text(), "Training time, arms paired by seed")
    assert [(row["clock"], row["arm"], row["against"]) for row in found] == [
        (clock, *pair) for clock in ("wall", "processor") for pair in PAIRS
    ]
    for row in found:
        mine, its = TIMES[row["arm"]], TIMES[row["against"]]
        scale, changes = {"wall": 1.0, "processor": 0.9}[row["clock"]], percent(mine, its)
        interval = stats.ttest_1samp(changes, 0.0).confidence_interval(0.95)
        assert number(row["arm (s)"]) == pytest.approx(scale * np.median(mine), abs=0.51)
        assert number(row["reference (s)"]) == pytest.approx(scale * np.median(its), abs=0.51)
        assert number(row["median change (%)"]) == pytest.approx(np.median(changes), abs=0.051)
        assert number(row["mean change (%)"]) == pytest.approx(changes.mean(), abs=0.051)
        assert list(map(number, row["95 % interval (%)"].split(" … "))) == pytest.approx(list(interval), abs=0.051)
        by_seed = [number(word.split()[1]) for word in row["change by seed (%)"].split(", ")]
        assert by_seed == pytest.approx(list(changes), abs=0.051)


def test_the_changes_beside_a_verdict_are_those_of_the_cost_table(folder):
    text = (report(folder) / "report.md").read_text()
    for row in table(text, "Arms paired by seed"):
        mine, its = raw(folder, row["arm"]), raw(folder, row["against"])
        for column, key in (("Δ parameters (%)", "parameters"), ("Δ FLOPs (%)", "flops")):
            assert number(row[column]) == pytest.approx(percent(mine[0][key]["total"], its[0][key]["total"]), abs=0.051)
        change = np.median(percent(TIMES[row["arm"]], TIMES[row["against"]]))
        assert number(row["Δ time (%)"]) == pytest.approx(change, abs=0.051)


def test_every_cost_and_bin_of_the_raw_cells_is_that_of_its_summary(folder):
    found = {}
    for row in rows(report(folder) / "cells.csv"):
        key = (row["arm"], int(row["seed"]), row["split"], row["metric"], row["bin"])
        assert key not in found
        found[key] = (math.nan if row["value"] == "" else float(row["value"]), row["unit"])
    for arm in ARMS:
        for seed, record in zip(SEEDS, raw(folder, arm), strict=True):
            expected = {
                "parameters.backbone": (record["parameters"]["backbone"], "1"),
                "parameters.probe": (record["parameters"]["probe"], "1"),
                "parameters.total": (record["parameters"]["total"], "1"),
                "flops.matmul": (record["flops"]["matmul"], "FLOP"),
                "flops.elementwise": (record["flops"]["elementwise"], "FLOP"),
                "flops.total": (record["flops"]["total"], "FLOP"),
                "training_time_s": (TIMES[arm][seed], "s"),
                "processor_time_s": (0.9 * TIMES[arm][seed], "s"),
                "evaluation_time_s": (record["evaluation_time_s"], "s"),
                "peak_memory_MB": (record["peak_memory_MB"], "MB"),
                "epochs": (record["epochs"], "1"),
                "best_epoch": (record["best_epoch"], "1"),
            }
            for metric, (value, unit) in expected.items():
                assert found.pop((arm, seed, "", metric, "")) == (pytest.approx(value), unit)
            for kind, entries in record["binned"]["test"].items():
                for entry in entries:
                    for name, unit in (("forces_mae", "eV/Å"), ("forces_rmse", "eV/Å"), ("atoms", "1")):
                        key = (arm, seed, "test", f"binned.{kind}.{name}", str(entry["bin"]))
                        assert found.pop(key) == (pytest.approx(entry[name]), unit)
    assert not any(metric.startswith("binned") or split == "" for _, _, split, metric, _ in found)


CONDITIONS = {"host": ("elsewhere", "machine"), "device": ("a GPU", "device"), "threads": (64, "threads")}
CONDITIONS["compile"] = (True, "compilation")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_times_under_other_conditions_are_not_compared(folder, condition):
    value, name = CONDITIONS[condition]
    edit(cell(folder, "pan+pgs", 1), {condition: value})
    text = (report(folder) / "report.md").read_text()
    found = {row["arm"]: row for row in table(text, "Cost")}
    assert found["pan+pgs"]["Δ (%)2"] == f"withheld ({name})"
    assert number(found["mlp"]["Δ (%)2"]) == pytest.approx(5.0, abs=0.051)
    for row in table(text, "Arms paired by seed"):
        assert (row["Δ time (%)"] == f"withheld ({name})") == (row["arm"] == "pan+pgs")
    for row in table(text, "Training time, arms paired by seed"):
        shown = [row["median change (%)"], row["95 % interval (%)"], row["change by seed (%)"]]
        assert (shown == [f"withheld ({name})", "–", "–"]) == (row["arm"] == "pan+pgs")
    assert (
        f"Δ time is withheld where the two runs of a seed differ in one of these: pan+pgs against none ({name})" in text
    )
    assert "test-cost-time" not in [picture.name for picture in pictures_of(folder)]


def pictures_of(folder):
    (group,) = groups(read_cells([folder])[0])
    return pictures(group, comparisons(group))


def test_seeds_on_machines_of_their_own_are_compared(folder):
    for arm in ARMS:
        edit(cell(folder, arm, 2), {"host": "elsewhere"})
    text = (report(folder) / "report.md").read_text()
    assert "withheld" not in text
    first = raw(folder, "none")[0]
    taken = f"device {first['device']}; threads {first['threads']}; compilation off"
    assert f"Times were taken on 2 machines; {taken}." in text


def test_older_summaries_do_not_say_what_times_were_taken_on(folder):
    for file in folder.glob("*/summary.json"):
        record = json.loads(file.read_text())
        for key in ("device", "threads", "compile", "processor_time_s"):
            del record[key]
        file.write_text(json.dumps(record))
    text = (report(folder) / "report.md").read_text()
    told = "Times were taken on 1 machine; device not recorded; threads not recorded; compilation not recorded."
    assert told in text
    assert not any("processor (s)" in row for row in table(text, "Cost"))
    assert len(table(text, "Training time, arms paired by seed")) == 3
