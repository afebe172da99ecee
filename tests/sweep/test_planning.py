"""The plan: states of the cells, and where the estimate of the remaining time comes from."""

from __future__ import annotations

import time

import pytest
from sweep.grids import Runs, leave, ready, seeds, words

from scalarfid.files import write_json
from scalarfid.sweep.cells import expand
from scalarfid.sweep.launching import Serial
from scalarfid.sweep.planning import Plan, Times, duration


def finish(cell, seconds):
    leave(cell.path, state="finished")
    write_json(cell.path / "summary.json", {"training_time_s": seconds})


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


def test_an_estimate_says_where_it_comes_from(tmp_path):
    same, longer, other = expand([
        words(tmp_path, "training.max_epochs=10"),
        words(tmp_path, "training.max_epochs=30"),
        [*words(tmp_path, "training.max_epochs=20")[1:], "backbone=nequip_tiny"],
    ])  # fmt: skip
    unknown = Times([same]).left(longer)
    assert (unknown.seconds, unknown.source) == (None, "")
    finish(same, 40.0)
    (another,) = expand([words(tmp_path, "training.max_epochs=10", "seed=5")])
    times = Times([same, longer, other])
    assert (times.left(another).seconds, times.left(another).source) == (40.0, "measured")
    assert (times.left(longer).seconds, times.left(longer).source) == (pytest.approx(120.0), "scaled")
    assert (times.left(other).seconds, times.left(other).source) == (pytest.approx(80.0), "scaled far")


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
