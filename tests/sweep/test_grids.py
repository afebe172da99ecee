"""Real grids by the real command: serial, in processes of their own, and twice at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from training.runs import SMALL, assert_same_record, train

from scalarfid.files import read_json

PARALLEL = ("hydra/launcher=parallel", "hydra.launcher.processes=2")
SHORT = tuple(word for word in SMALL if not word.startswith("training.max_epochs"))


def start(root, *words):
    """The command, its output in a file."""
    root.mkdir(exist_ok=True)
    out = root / f"out-{time.monotonic_ns()}"
    with out.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "scalarfid.train", "-m", *words, f"run.root={root}"], stdout=file, stderr=file,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
    return process, out


def finish(process, out, seconds=400):
    code = process.wait(seconds)
    return code, " ".join(out.read_text().split())


def grid(root, *words):
    return finish(*start(root, *words))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [(), PARALLEL], ids=["serial", "parallel"])
def test_the_smoke_grid(launcher, tmp_path):
    code, said = grid(tmp_path, "+experiment=smoke", *launcher)
    assert code == 0, said
    assert "6 cells: 6 finished." in said
    directories = [path.parent for path in tmp_path.glob("smoke/*/summary.json")]
    assert Counter(path.name.split("-")[1] for path in directories) == {"none": 2, "mlp": 2, "pan+pgs": 2}
    began = [read_json(path / "status.json")["started"] for path in directories]
    code, said = grid(tmp_path, "+experiment=smoke", *launcher)
    assert code == 0, said
    assert "6 cells: 6 skipped, finished before." in said
    assert [read_json(path / "status.json")["started"] for path in directories] == began


@pytest.mark.slow
def test_a_grid_started_twice_at_once_does_each_cell_once(tmp_path):
    words = (*SHORT, "training.max_epochs=60", "seed=0,1,2,3", *PARALLEL)
    both = [start(tmp_path, *words) for _ in range(2)]
    ends = [finish(*one) for one in both]
    assert [code for code, _ in ends] == [0, 0], ends
    done = [re.search(r"4 cells: (?:(\d) finished)?", said) for _, said in ends]
    assert sum(int(found[1] or 0) for found in done) == 4, ends
    assert any("left to another process" in said or "skipped" in said for _, said in ends)
    assert len(list(tmp_path.glob("default/*/summary.json"))) == 4


@pytest.mark.slow
def test_processes_of_a_grid_save_when_it_is_stopped_and_one_killed_leaves_the_others(tmp_path):
    words = (*SHORT, "training.max_epochs=60", "seed=0,1,2", *PARALLEL)
    process, out = start(tmp_path, *words)
    directories = []
    while len(directories) < 2:
        assert process.poll() is None, out.read_text()
        directories = [file.parent for file in tmp_path.glob("default/*/metrics.csv")]
        time.sleep(0.05)
    os.kill(read_json(directories[0] / "status.json")["pid"], signal.SIGKILL)
    while not list(tmp_path.glob("default/*-s2-*/metrics.csv")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, said = finish(process, out)
    assert code == 130, said
    states = Counter(read_json(path)["state"] for path in tmp_path.glob("default/*/status.json"))
    assert states["failed"] == 1
    assert states["interrupted"] + states["finished"] == 2
    assert "killed by signal 9" in read_json(directories[0] / "status.json")["error"]

    code, said = grid(tmp_path, *words)
    assert code == 0, said
    for seed in (0, 1, 2):
        expected = train(tmp_path / "whole", "training.max_epochs=60", f"seed={seed}").directory
        assert_same_record(tmp_path / "default" / expected.name, expected)


def test_a_launcher_without_a_grid_is_refused(tmp_path):
    command = [sys.executable, "-m", "scalarfid.train", "hydra/launcher=plan", f"run.root={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["error: hydra/launcher=plan is for grids; add -m."]


def test_the_command_plans_a_grid_and_runs_nothing(tmp_path):
    code, said = grid(tmp_path, "+experiment=smoke", "hydra/launcher=plan", "seed=0")
    assert code == 0, said
    assert "3 cells: 3 missing." in said
    assert len(re.findall(r"missing +unknown +mace-\S+-ethanol-s0-", said)) == 3
    assert [path for path in Path(tmp_path).iterdir() if path.is_dir()] == []
