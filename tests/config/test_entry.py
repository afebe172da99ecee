"""The command line: help, --cfg, errors, completion; none of it loads torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "scalarfid.train"]


def command(*words):
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "words",
    [["probe=pn"], ["training.lrr=3"], ["-m", "seed=0,1", "probe=none,pn"], ["a b"]],
    ids=lambda words: words[-1],
)
def test_a_mistake_ends_as_one_line_with_status_2(words):
    done = command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")


def test_cfg_job_shows_the_configuration_and_trains_nothing(tmp_path):
    done = command("--cfg", "job", "probe=none", f"run.root={tmp_path}")
    assert done.returncode == 0
    assert "name: none" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_choices_and_stays_short():
    done = command("--help")
    assert done.returncode == 0
    assert "pan+pgs" in done.stdout
    assert "python -m scalarfid.train backbone=" in done.stdout
    assert len(done.stdout.splitlines()) < 50


def test_completion_in_bash_knows_python_dash_m():
    install, line = 'eval "$($0 -m scalarfid.train -sc install=bash)"', 'COMP_LINE="$0 -m scalarfid.train $1"'
    script = f'{install}; {line}; _scalarfid_complete; echo "${{COMPREPLY[@]}}"'
    answers = {}
    for word in ("probe=pan", "training.warm"):
        done = subprocess.run(["bash", "-c", script, sys.executable, word], capture_output=True, text=True, check=True)
        answers[word] = done.stdout.split()
    assert answers == {"probe=pan": ["probe=pan", "probe=pan+pgs"], "training.warm": ["training.warmup_steps="]}


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"]], ids=lambda words: words[0])
def test_what_answers_without_training_imports_nothing_that_computes(words):
    code = "import atexit, os, sys; atexit.register(lambda: os.write(2, ' '.join(sys.modules).encode()))"
    code += "; from scalarfid.train import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    heavy = {"torch", "scipy", "pandas", "matplotlib", "ase", "torch_geometric", "pytorch_lightning", "wandb"}
    assert "hydra" in loaded
    assert heavy & loaded == set()


@pytest.mark.slow
def test_a_sweep_runs_every_cell_and_says_which_failed(tmp_path):
    words = [
        "-m",
        "seed=0,1",
        "training.stress_weight=0,1",
        "backbone=mace_tiny",
        "dataset.n_train=4",
        "dataset.n_val=2",
    ]
    words += ["dataset.n_test=2", "training.max_epochs=1", f"run.root={tmp_path}", "probe=none"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    finished = [Path(line) for line in done.stdout.splitlines()]
    assert len(finished) == 2
    assert all((path / "summary.json").is_file() for path in finished)
