"""Between the command and the first step: which modules are not imported, and when garbage is looked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

UNTIL_THE_FIRST_STEP = """
import gc, json, os, sys

def report(*_):
    facts = {"loaded": list(sys.modules), "collects": gc.isenabled(), "kept": gc.get_freeze_count()}
    os.write(1, json.dumps(facts).encode())
    os._exit(0)

def after_torch(module):
    from torch.optim.optimizer import register_optimizer_step_post_hook
    register_optimizer_step_post_hook(report)

import scalarfid.train
before = scalarfid.train._run
scalarfid.train._run = lambda *arguments: after_torch(None) or before(*arguments)
scalarfid.train.main()
"""
SMALL = ["dataset.n_train=2", "dataset.n_val=1", "dataset.n_test=1", "training.batch_size=1", "run.device=cpu"]
ELSEWHERE = ("wandb", "IPython", "ase.md", "phonopy", "plotly", "bokeh")
"""Modules that only a mirror, a generator of data, a diagnostic or a report needs."""


def python(code: str, *words: str, **options: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The process as it is after the first step of a training."""
    folder = tmp_path_factory.mktemp("start")
    return json.loads(python(UNTIL_THE_FIRST_STEP, "backbone=mace_tiny", *SMALL, f"run.root={folder}", cwd=folder))


@pytest.mark.slow
def test_what_a_step_does_without_is_not_imported_before_it(start):
    assert [name for name in ELSEWHERE if name in start["loaded"]] == []


@pytest.mark.slow
def test_garbage_is_looked_for_from_the_first_step_on_and_not_before(start):
    assert start["collects"]
    assert start["kept"] > 100_000
