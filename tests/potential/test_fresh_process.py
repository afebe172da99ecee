"""What only a new process shows: imports happen once, and upstream's have side effects."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import checks
import pytest
import structures
from potentials import tiny

from scalarfid.potential import save

SCRIPT = """
import io, json, os, pickle, random, sys
import e3nn, numpy as np, torch
import scalarfid.potential

class Evil:
    def __reduce__(self):
        return os.putenv, ("SCALARFID_TEST_EVIL", "1")

def state():
    return {
        "dtype": str(torch.get_default_dtype()),
        "environment": dict(os.environ),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "e3nn": e3nn.get_optimization_defaults(),
        "nequip": getattr(sys.modules.get("nequip.utils.global_state"), "_GLOBAL_STATE_INITIALIZED", False),
        "sharing": torch.multiprocessing.get_sharing_strategy(),
    }

report = {}
before = state()
for backbone in BACKBONES:
    scalarfid.build(f"{backbone}_tiny", "pan+pgs", ["C"])
report["changed"] = [key for key, value in state().items() if value != before[key]]

file = io.BytesIO()
torch.save(Evil(), file)
file.seek(0)
try:
    torch.load(file)
    report["torch.load"] = "ran code"
except pickle.UnpicklingError:
    report["torch.load"] = "safe"

torch.set_default_dtype(torch.float64)  # as other packages leave it
report["unpickled"] = []
hook = lambda event, args: report["unpickled"].append(str(args)) if event == "pickle.find_class" else None
sys.addaudithook(hook)
potential = scalarfid.load(MODEL)
report["unpickled"] = list(report["unpickled"])
from ase.io import read
from scalarfid.data.graphs import build_graph
report["energy"] = float(potential(build_graph(read(FRAME), potential.cutoff))["energy"])
open(REPORT, "w").write(json.dumps(report))
"""


@pytest.fixture(scope="module", params=[["mace"], pytest.param(["nequip", "allegro", "mace"], marks=pytest.mark.slow)])
def fresh(request, tmp_path_factory):
    """Build, load and evaluate in a new process; return (its report, its stdout, the energy found here)."""
    folder = tmp_path_factory.mktemp("fresh")
    potential = tiny("mace", "pan+pgs", perturbed=True)
    save(potential, folder / "model.safetensors")
    structures.molecule().write(folder / "frame.traj")
    values = {
        "BACKBONES": request.param,
        "MODEL": str(folder / "model.safetensors"),
        "FRAME": str(folder / "frame.traj"),
        "REPORT": str(folder / "report.json"),
    }
    script = "\n".join(f"{name} = {value!r}" for name, value in values.items()) + SCRIPT
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("TORCH_FORCE", "PYTORCH_JIT"))
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    energy = float(checks.evaluate(potential, structures.molecule())["energy"])
    return json.loads((folder / "report.json").read_text()), done.stdout, energy


def test_the_first_build_leaves_no_trace(fresh):
    assert fresh[0]["changed"] == []


def test_torch_load_stays_safe(fresh):
    assert fresh[0]["torch.load"] == "safe"


def test_nothing_is_written_to_stdout(fresh):
    assert fresh[1] == ""


def test_a_file_loads_bit_equal_without_unpickling(fresh):
    report, _, energy = fresh
    assert report["unpickled"] == []
    assert report["energy"] == energy
