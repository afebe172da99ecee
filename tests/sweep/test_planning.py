"""The plan: states of the cells, and where the estimate of the remaining time comes from."""

from __future__ import annotations

import shlex
import time

import pytest
from sweep.grids import Runs, leave, ready, seeds, words

from scalarfid.files import read_json, write_json
from scalarfid.sweep.cells import expand
from scalarfid.sweep.launching import Serial
from scalarfid.sweep.planning import Plan, duration
from scalarfid.sweep.times import Times


def finish(cell, seconds, *, edges=None):
    """A finished run, its summary as a run writes it."""
    leave(cell.path, state="finished")
    summary = {
        "training_time_s": seconds, "fingerprint": cell.fingerprint, "n_frames": {"train": 4},
        "flops": {"edges": (edges or cell.edges) // 4}, "config": cell.config,
    }  # fmt: skip
    write_json(cell.path / "summary.json", summary)


def cell(root, *more):
    """One cell; the later words win."""
    chosen = {word.partition("=")[0]: word for word in words(root, *more)}
    return expand([list(chosen.values())])[0]


def left(grid, one):
    """Seconds and source of an estimate."""
    estimate = Times(grid).left(one)
    return estimate.seconds, estimate.source


def test_the_plan_lists_every_cell_with_its_state_and_runs_nothing(tmp_path, capfd):
    jobs = seeds(tmp_path, 6)
    cells = expand(jobs)
    finish(cells[0], 100.0)
    leave(cells[1].path, state="running", pid=1, epoch=50)
    leave(cells[3].path, state="failed", error="Traceback\nKeyError: 'x'")
    write_json(cells[4].path / "status.json", {"state": "running", "host": "elsewhere", "heartbeat": time.time() - 400})
    ready(Plan(), tmp_path).launch(jobs, 0)
    lines = capfd.readouterr().out.splitlines()
    states = [line.split()[0] for line in lines]
    assert states == ["finished", "running", "missing", "failed", "interrupted", "missing"]
    assert [cell.name in line for cell, line in zip(cells, lines, strict=True)] == [True] * 6
    assert lines[3].endswith(": KeyError: 'x'")
    assert "50 s" in lines[1]
    assert "100 s" in lines[2]


def test_an_estimate_says_what_it_rests_on_and_the_nearest_runs_are_taken(tmp_path):
    wanted = cell(tmp_path, "training.max_epochs=10", "seed=5")
    assert left([wanted], wanted) == (None, "")
    finish(cell(tmp_path, "training.max_epochs=20", "backbone=nequip_tiny"), 200.0)
    assert left([wanted], wanted) == (pytest.approx(100.0), "backbones")
    finish(cell(tmp_path, "training.max_epochs=10", "dataset.n_train=8"), 160.0)
    assert left([wanted], wanted)[1] == "data"
    finish(cell(tmp_path, "training.max_epochs=30"), 210.0)
    assert left([wanted], wanted) == (pytest.approx(70.0), "epochs")
    finish(cell(tmp_path, "training.max_epochs=10", "probe=mlp"), 60.0)
    assert left([wanted], wanted) == (pytest.approx(60.0), "probes")
    for seed in (0, 1):
        finish(cell(tmp_path, "training.max_epochs=10", f"seed={seed}"), 40.0 + seed)
    assert left([wanted], wanted) == (pytest.approx(40.5), "measured")


def test_runs_of_other_data_count_by_their_frames_and_edges(tmp_path):
    wanted, other = cell(tmp_path), cell(tmp_path, "dataset.n_train=8")
    finish(other, 50.0, edges=10 * wanted.edges)
    assert left([wanted], wanted) == (pytest.approx(5.0, rel=0.05), "data")
    assert left([wanted, other], wanted)[0] == pytest.approx(50.0 * wanted.edges / other.edges)  # known better


@pytest.mark.parametrize("missing", ["training_time_s", "fingerprint", "n_frames", "flops", "config"])
def test_a_summary_that_does_not_tell_is_left_out(missing, tmp_path):
    wanted, other = cell(tmp_path), cell(tmp_path, "dataset.n_train=8")
    finish(other, 50.0)
    summary = read_json(other.path / "summary.json")
    del summary[missing]
    write_json(other.path / "summary.json", summary)
    assert left([wanted], wanted) == (None, "")


def test_the_plan_reads_the_experiments_folder_and_marks_what_is_rough(tmp_path, capfd, said):
    jobs = seeds(tmp_path, 4)
    for one in expand(jobs)[:2]:
        finish(one, 10.0)
    ready(Plan(), tmp_path).launch(jobs[2:], 0)  # the finished ones are not asked for
    assert [line.split()[1:3] for line in capfd.readouterr().out.splitlines()] == [["10", "s"]] * 2
    assert "20 s (2 from finished cells of the same backbone, probe, data and epochs)" in said()
    ready(Plan(), tmp_path).launch([words(tmp_path, "training.max_epochs=50")], 0)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.split()[1].startswith("~")
    assert "(1 rough, scaled by epochs from finished cells of the same backbone and data)" in said()


def test_a_fresh_grid_is_told_what_would_give_an_estimate(tmp_path, capfd, said):
    jobs = [words(tmp_path, f"training.max_epochs={epochs}") for epochs in (30, 10, 20)]
    ready(Plan(), tmp_path).launch(jobs, 0)
    assert "unknown (3 unknown)" in said()
    assert f"No run in {tmp_path / 'default'} has finished; one that has gives an estimate" in said()
    assert f"python -m scalarfid.train {shlex.join(jobs[1])}" in said()
    capfd.readouterr()
    finish(expand(jobs)[1], 10.0)
    ready(Plan(), tmp_path).launch(jobs, 0)
    assert [line.split()[1] for line in capfd.readouterr().out.splitlines() if "missing" in line] == ["~30", "~20"]


def test_a_finished_grid_has_nothing_left(tmp_path, capfd):
    jobs = seeds(tmp_path, 2)
    ready(Serial(), tmp_path, Runs(jobs)).launch(jobs, 0)
    ready(Plan(), tmp_path).launch(jobs, 0)
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == ["finished"] * 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(48, "48 s"), (119, "119 s"), (700, "12 min"), (12_240, "3.4 h"), (181_440, "2.1 d")]
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text
