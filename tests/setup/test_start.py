"""Between the command and the first step: which modules are not imported, and that they are there when used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scalarfid.deferred import UNUSED

UNTIL_THE_FIRST_STEP = """
import gc, json, os, sys

def report(*_):
    put_off = [name for name, module in sys.modules.items() if type(module).__name__ == "Deferred"]
    facts = {"put_off": put_off, "loaded": list(sys.modules), "collects": gc.isenabled(), "kept": gc.get_freeze_count()}
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
ELSEWHERE = ("wandb", "requests.api", "IPython", "scipy.stats", "scipy.signal.windows", "torch_geometric.nn.conv")
"""Modules that only a mirror, a download or a report needs, and what is inside of those put off."""


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
def test_what_a_step_does_without_is_not_loaded_before_it(start):
    needed_by_mace = {"pandas"}  # a plot of its trainer, imported with its layers
    named = set(UNUSED) & set(start["loaded"])
    assert named - set(start["put_off"]) <= needed_by_mace
    assert set(start["put_off"]) >= {"scipy.signal", "torch_geometric.datasets", "torch_geometric.nn"}
    assert [name for name in ELSEWHERE if name in start["loaded"]] == []


@pytest.mark.slow
def test_garbage_is_looked_for_from_the_first_step_on_and_not_before(start):
    assert start["collects"]
    assert start["kept"] > 100_000


@pytest.mark.slow
def test_a_module_put_off_is_the_same_once_it_is_used():
    code = """
import sys
from scalarfid.deferred import Deferred, defer
defer()
import torchmetrics, pandas, scipy.signal, torch_geometric
assert isinstance(pandas, Deferred) and isinstance(scipy.signal, Deferred)
assert pandas.DataFrame({"a": [1, 2]}).a.sum() == 3 and type(pandas) is type(sys)
assert len(scipy.signal.find_peaks([0, 1, 0])[0]) == 1 and not hasattr(scipy.signal, "no such name")
from torch_geometric.nn.conv import GCNConv
assert GCNConv is torch_geometric.nn.GCNConv and not isinstance(torch_geometric.nn, Deferred)
module = sys.modules["torch_geometric.nn.conv"]
assert module.__spec__.origin == module.__file__
"""
    python(code)


def test_importing_the_package_puts_nothing_off():
    assert "scalarfid" not in python("import sys, scalarfid.train; print(sys.meta_path)")
