"""Make the first-light table from the runs of experiments/first_light/run.sh.

    python benchmarks/first_light.py runs/first_light --output experiments/first_light/README.md

One seed a cell: the table shows that every backbone trains and what a probe costs, not that one arm is better.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from cost import cost, graphs

from scalarfid.files import write_text
from scalarfid.potential import Potential, load
from scalarfid.results.summary import read_summaries
from scalarfid.results.tables import markdown

HEADER = ["set", "backbone", "probe", "hash", "parameters", "FLOPs", "epochs", "min"]
HEADER += ["E_MAE", "E_RMSE", "F_MAE", "F_RMSE", "F_MAE(mean)", "commit"]
TEST = "metrics.test."
INTRO = """# First light

Every backbone with and without PAN+PGS, small presets, one seed, DFT data: rMD17 ethanol (PBE, official split 01, 200
of the 950 training frames, 50 validation, 1000 test) for 30 epochs, and the Ag-231 subset (60 training, 15 validation,
116 test frames of one 71-atom vacancy cell) for 8 epochs. One seed and a short budget: **nothing here says that one arm
is better than another**, only that all of them train on the same frames, batches, E0, scale and cutoff, and what they
cost. Runs on two shared CPU cores, one thread a run, so the times are rough.

Errors on the test frames: E in meV/atom, F in meV/Å; F_MAE(mean) is the error of predicting the mean. FLOPs: energy +
forces, float32 inference (matmul-type plus one per output element), in 10⁶, on the 64-atom Ag graph or on aspirin. The
commit is that of each run's end (they were trained one after another while the code around them was finished; cells
were not repeated). The hash names the run directory; the `*.summary.json` beside this file have the rest. Made by
`run.sh ethanol ag` here and
`python benchmarks/first_light.py runs/first_light --output experiments/first_light/README.md`.
"""


def costs(path: str, dataset: str) -> tuple[str, str]:
    """Parameters (backbone + probe) of a run, and 10⁶ operations of its architecture on the graph for its data."""
    potential = load(path)
    graph = graphs(potential.cutoff)["Ag64" if dataset == "ag" else "aspirin"]
    same = Potential.from_config({**potential.config, "elements": sorted(set(graph.z.tolist()))})
    counted = cost(same, graph)
    return f"{counted['parameters']} + {counted['probe_parameters']}", f"{counted['flops'] / 1e6:.1f}"


def cells(run: pd.Series) -> list[str]:
    """One row of the table."""
    errors = [run[TEST + name] * 1e3 for name in ("energy_per_atom_mae", "energy_per_atom_rmse")]
    errors += [run[TEST + name] * 1e3 for name in ("forces_mae", "forces_rmse")]
    parameters, flops = costs(run.path, run.dataset)
    minutes = f"{run['training_time_s'] / 60:.1f}"
    shown: list[Any] = [run.dataset_title, run.backbone, run.probe, run.hash, parameters]
    shown += [flops, run.epochs, minutes, *(f"{value:.2f}" for value in errors)]
    return [str(x) for x in (*shown, f"{run['mean_predictor.test.forces_mae'] * 1e3:.0f}", run.commit[:8])]


def main() -> int:
    """Read the runs, write the page and a copy of each summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    table = read_summaries(options.runs).sort_values(["dataset", "backbone", "probe"])
    rows = [cells(run) for _, run in table.iterrows()]
    write_text(options.output, f"{INTRO}\n{markdown(HEADER, rows)}\n")
    for path in table.path:
        name = f"{Path(path).name}.summary.json"
        write_text(options.output.parent / name, (Path(path) / "summary.json").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
