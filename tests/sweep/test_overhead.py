"""The script that measures what a grid costs beyond its cells: it runs, and its numbers hang together."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "sweep.py"


@pytest.fixture(scope="module")
def sweep():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("benchmarks_sweep", SCRIPT)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


def test_overhead_is_what_the_slots_did_beside_the_cells(sweep):
    serial = sweep.Measured("serial", 1, first=30.0, again=12.0, own=[2.0, 4.0])
    assert (serial.overhead(serial.first), serial.overhead(serial.first - serial.again)) == (12.0, 6.0)
    assert serial.row() == ["serial", "2", "30.0", "12.0", "6.0", "12.0", "6.0"]
    parallel = sweep.Measured("parallel", 2, first=30.0, again=12.0, own=[2.0, 4.0])
    assert parallel.overhead(parallel.first) == 27.0
    text = sweep.document([serial, parallel], ["seed=0,1"], load=3.2)
    assert "| parallel, 2 at a time | 2 | 30.0 |" in text
    assert "load before it began: 3.2" in text


@pytest.mark.slow
def test_the_script_measures_a_grid(tmp_path):
    words = ["backbone=mace_tiny", "dataset=ethanol", "dataset.n_train=4", "dataset.n_val=2", "dataset.n_test=2",
             "training.max_epochs=1", "run.threads=1", "seed=0,1"]  # fmt: skip
    command = [
        sys.executable,
        str(SCRIPT),
        "--launchers",
        "parallel",
        "--output",
        str(tmp_path / "sweep.md"),
        "--words",
    ]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in (tmp_path / "sweep.md").read_text().splitlines() if line.startswith("| parallel")]
    cells, first, again, own, overhead, rest = map(float, row.split("|")[2:-1])
    assert (cells, again < first) == (2, True)
    assert overhead == pytest.approx((2 * first - own) / 2, abs=0.11)
    assert rest == pytest.approx((2 * (first - again) - own) / 2, abs=0.21)
