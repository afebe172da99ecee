"""What a grid costs beyond its cells: wall time of the command less the cells' own training and evaluation.

    python benchmarks/sweep.py                                            # serial and parallel, 6 cells
    python benchmarks/sweep.py --launchers serial parallel slurm          # where there is a SLURM
    python benchmarks/sweep.py --words +experiment=smoke training.max_epochs=20

Every launcher runs the grid in a folder of its own, then the same command again, which finds every cell finished: what
that takes (start, imports, one configuration per cell, the data) is paid once a command. One measurement each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_text
from scalarfid.results.tables import markdown

WORDS = ("+experiment=smoke", "training.max_epochs=1", "run.threads=1")
OPTIONS = {
    "serial": [],
    "parallel": ["hydra.launcher.processes={slots}"],
    "slurm": ["hydra.launcher.array_parallelism={slots}", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"],
}
"""Words of each launcher, by its name."""
HEADER = ["launcher", "cells", "first run (s)", "again, all skipped (s)", "Σ training + evaluation (s)"]
HEADER += ["overhead per cell (s)", "of it not paid once a command (s)"]


@dataclass(frozen=True)
class Measured:
    """One grid.

    Attributes:
        launcher: its name.
        slots: cells at a time.
        first, again: wall time in s of the command, and of the same command when every cell is finished.
        own: training and evaluation time in s of each cell, as its summary has it.
    """

    launcher: str
    slots: int
    first: float
    again: float
    own: list[float]

    def overhead(self, seconds: float) -> float:
        """(slots × wall time − Σ own)/cells in s: a slot that idles counts too."""
        return (self.slots * seconds - sum(self.own)) / len(self.own)

    def row(self) -> list[str]:
        """Of the table."""
        name = self.launcher + (f", {self.slots} at a time" if self.slots > 1 else "")
        times = (
            self.first,
            self.again,
            sum(self.own),
            self.overhead(self.first),
            self.overhead(self.first - self.again),
        )
        return [name, str(len(self.own)), *(f"{seconds:.1f}" for seconds in times)]


def measure(launcher: str, slots: int, words: Sequence[str]) -> Measured:
    """Run a grid twice in a temporary folder.

    Raises:
        ScalarFidError: it did not finish; what it said has been shown.
    """
    slots = 1 if launcher == "serial" else slots
    with tempfile.TemporaryDirectory() as root:
        options = [word.format(slots=slots) for word in OPTIONS[launcher]]
        command = ["-m", "scalarfid.train", "-m", f"hydra/launcher={launcher}", *options, *words, f"run.root={root}"]
        first, again = timed(command), timed(command)
        summaries = [read_json(file) for file in sorted(Path(root).glob("*/*/summary.json"))]
    return Measured(launcher, slots, first, again, [s["training_time_s"] + s["evaluation_time_s"] for s in summaries])


def timed(command: Sequence[str]) -> float:
    """Wall time of a Python command in s."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"},
                          check=False)  # fmt: skip
    if done.returncode != 0:
        raise ScalarFidError(f"python {' '.join(command)} ended with {done.returncode}; see above.")
    return time.monotonic() - began


def document(found: Sequence[Measured], words: Sequence[str], load: float) -> str:
    """The page that is kept."""
    return f"""# Overhead of a sweep

What a grid costs beyond its cells, measured once on {datetime.now(UTC):%Y-%m-%d} by

    python benchmarks/sweep.py --launchers {" ".join(one.launcher for one in found)}

on a machine of {os.cpu_count()} cores that other work shared (load before it began: {load:.1f}), one thread a cell.
The grid is `{" ".join(words)}`: cells that hardly train,
so that nearly all of the time is overhead.

{markdown(HEADER, [one.row() for one in found])}
Overhead per cell is (cells at a time × wall time of the whole command − Σ(`training_time_s` + `evaluation_time_s`)) /
cells: seconds of a slot. The last column takes off what the same command takes when all cells are finished (start,
imports, configurations, data), paid once however many cells there are. What is left is building the model, counting
operations, writing files and the parity plot; in processes of their own also imports and, with SLURM, the queue.
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launchers", nargs="+", choices=OPTIONS, default=["serial", "parallel"])
    parser.add_argument("--slots", type=int, default=2, help="cells at a time, but for serial")
    parser.add_argument("--words", nargs="+", default=WORDS, help="of scalarfid.train: the grid")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    load = os.getloadavg()[1]
    found = [measure(launcher, options.slots, options.words) for launcher in options.launchers]
    text = document(found, options.words, load)
    sys.stdout.write(f"{text}\n{write_text(options.output, text)}\n")


if __name__ == "__main__":
    main()
