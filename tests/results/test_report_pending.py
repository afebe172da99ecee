"""Runs without a summary: what a report says of those that have not ended, and of cells that were never begun."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from results.sweeps import ARMS, SEEDS, cell

from scalarfid.report import main

pytestmark = pytest.mark.usefixtures("no_figures")


def report(folder):
    """Text of the report that the command writes."""
    assert main([str(folder), f"out={folder.parent / 'out'}"]) == 0
    return (folder.parent / "out" / "report.md").read_text()


def table(text, title):
    """Rows of the table of a title, as lists of text; none where there is no such table."""
    _, found, rest = text.partition(f"## {title}\n\n")
    lines = rest.split("\n\n")[0].splitlines()[2:] if found else []
    return [[word.strip() for word in line.split("|")[1:-1]] for line in lines]


STATES = {
    "interrupted": {"state": "running", "host": "elsewhere", "pid": 1, "silent_for": 6 * 3600, "epoch": 7},
    "running": {"state": "running", "host": "elsewhere", "pid": 1, "silent_for": 0, "epoch": 7},
    "failed": {"state": "failed", "error": "Traceback:\n  line\nValueError: loss is nan\n", "epoch": 7},
    "finished, without summary.json": {"state": "finished", "epoch": 7},
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_of_an_unfinished_run_is_that_of_its_process(folder, state):
    lost = cell(folder, "pan+pgs", 1)
    status = dict(STATES[state])
    if "silent_for" in status:
        status["heartbeat"] = time.time() - status.pop("silent_for")
    (lost.parent / "status.json").write_text(json.dumps(status))
    lost.unlink()
    error = "ValueError: loss is nan" if state == "failed" else ""
    assert table(report(folder), "Unfinished") == [[lost.parent.name, state, "7", error]]


def test_a_damaged_state_is_unknown(folder):
    lost = cell(folder, "pan+pgs", 1)
    (lost.parent / "status.json").write_bytes(b"\xff{")
    lost.unlink()
    assert table(report(folder), "Unfinished") == [[lost.parent.name, "unknown", "–", ""]]


def plan(folder, arms):
    """Write a grid of these arms at every seed, under the names of the runs that there are; return it."""
    cells = []
    for arm in arms:
        for seed in SEEDS:
            names = [path.name for path in folder.glob(f"*-{arm}-*-s{seed}-*")]
            facts = {"backbone": "mace", "probe": arm, "dataset": "ethanol", "seed": seed}
            cells.append({"name": names[0] if names else f"mace-{arm}-ethanol-s{seed}-0", **facts})
    grid = folder / ".sweep" / "grid.json"
    grid.parent.mkdir()
    grid.write_text(json.dumps({"cells": cells}))
    return grid


def test_a_whole_arm_and_a_seed_of_all_arms_that_were_never_begun_are_counted(folder):
    plan(folder, (*ARMS, "pan"))
    for arm in ARMS:
        shutil.rmtree(cell(folder, arm, 2).parent)
    shutil.rmtree(cell(folder, "mlp", 1).parent)
    text = report(folder)
    assert table(text, "Not begun") == [
        ["ethanol", "mace", "none", "1", "2"],
        ["ethanol", "mace", "pan+pgs", "1", "2"],
        ["ethanol", "mace", "mlp", "2", "1, 2"],
        ["ethanol", "mace", "pan", "3", "0, 1, 2"],
    ]


def test_begun_cells_and_kept_summaries_are_not_among_them(folder, tmp_path):
    plan(folder, ARMS)
    cell(folder, "none", 0).unlink()
    assert table(report(folder), "Not begun") == []
    assert len(table(report(folder), "Unfinished")) == 1
    file = cell(folder, "mlp", 1)
    shutil.copy(file, folder / "kept.summary.json")
    shutil.rmtree(file.parent)
    assert table(report(folder), "Not begun") == []


def test_a_damaged_grid_is_listed_and_the_cells_are_reported(folder):
    before = report(folder)
    assert "Not begun" not in before
    grid = plan(folder, ARMS)
    for text, why in (("{", "is not JSON"), ('{"cells": [{"name": 1}]}', "has cells[0].name 1, not text")):
        grid.write_text(text)
        ((_, file, found, remedy),) = table(report(folder), "Unreadable")
        assert (file, remedy) == (str(grid), "remove it; the command of the grid writes it again")
        assert why in found
    grid.unlink()
    assert report(folder) == before
