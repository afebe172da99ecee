"""Train a bare backbone with this project and with the trainer of its own package, at equal settings, and compare.

python scripts/fair.py mace --seeds 0 1 2 --output experiments/fair
python scripts/fair.py nequip --seeds 0 1 2 --output experiments/fair

Settings and commands are those of ``scalarfid/bench/trainers.py``. The weights that each side ends with are loaded into
one and the same potential here and measured on the same test frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import scalarfid
from scalarfid.bench import trainers
from scalarfid.bench.trainers import Case
from scalarfid.files import write_text
from scalarfid.log import log, setup_logging
from scalarfid.potential import Potential
from scalarfid.results.tables import markdown
from scalarfid.training.metrics import errors_of

METRICS = {"energy_per_atom_mae": "E MAE (meV/atom)", "forces_mae": "F MAE (meV/Å)", "forces_rmse": "F RMSE (meV/Å)"}


def command(case: Case, line: Sequence[str]) -> str:
    """Run a command of this Python on one thread and return its standard output; its messages are shown if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    result = subprocess.run(
        [sys.executable, *line], cwd=case.folder, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(line)}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return result.stdout


def scalarfid_side(case: Case, seed: int) -> Potential:
    """Train with ``scalarfid.train``."""
    return scalarfid.load(command(case, trainers.ours(case, seed)).splitlines()[-1])


def upstream_side(case: Case, seed: int) -> Potential:
    """Train with the package's own trainer; its best checkpoint holds averaged weights."""
    command(case, trainers.upstream(case, seed))
    return {"mace": mace, "nequip": nequip}[case.backbone](case, trainers.place(case, seed))


def mace(case: Case, folder: Path) -> Potential:
    """What ``mace_run_train`` leaves."""
    (checkpoint,) = (folder / "checkpoints").glob("fair_run-*_epoch-*.pt")
    return native(case, torch.load(checkpoint, weights_only=False, map_location="cpu")["model"])  # ours: made above


def nequip(case: Case, folder: Path) -> Potential:
    """What ``nequip-train`` leaves."""
    state = torch.load(folder / "best.ckpt", weights_only=False, map_location="cpu")  # ours: made above
    potential = native(case, state["state_dict"])
    # nequip keeps the averages as a list in the order of the model's parameters.
    parameters = list(potential.backbone.model.parameters())
    averages = [state["state_dict"][f"ema.ema_weight_{i}"] for i in range(len(parameters))]
    with torch.no_grad():
        for parameter, average in zip(parameters, averages, strict=True):
            parameter.copy_(average)
    return potential


def native(case: Case, state: dict[str, torch.Tensor]) -> Potential:
    """The potential of this project with weights from a checkpoint of an upstream trainer."""
    potential = Potential.from_config(case.numbers)
    own = potential.native_state()
    longest = max(own, key=len)
    prefix = next(key.removesuffix(longest) for key in state if key.endswith(longest))  # nequip's module adds one
    potential.load_native({key: state[prefix + key] for key in own})
    if not np.isclose(float(potential.scale), case.numbers["scale"]):
        raise SystemExit(f"upstream used the scale {float(potential.scale)}, not {case.numbers['scale']}")
    return potential.eval()


def compare(case: Case, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Train both sides with every seed; one row per training."""
    rows = []
    for seed in seeds:
        for side, train in (("scalarfid", scalarfid_side), (case.backbone, upstream_side)):
            began = time.monotonic()
            potential = train(case, seed)
            seconds = time.monotonic() - began
            errors = errors_of(potential, case.dataset.test["test"])
            rows.append({"side": side, "seed": seed, "seconds": seconds, **errors})
            log.info("%s, seed %d: F MAE %.1f meV/Å, %.0f s", side, seed, 1e3 * errors["forces_mae"], seconds)
    return rows


def summary(rows: Sequence[dict[str, Any]], backbone: str) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds by side, and Welch's t of the difference, for every metric."""
    found = {}
    for metric in METRICS:
        a, b = (np.array([row[metric] for row in rows if row["side"] == side]) for side in ("scalarfid", backbone))
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        found[metric] = {
            "scalarfid": a.mean(), "scalarfid_std": a.std(ddof=1), "upstream": b.mean(), "upstream_std": b.std(ddof=1),
            "difference": a.mean() - b.mean(), "standard_error": error, "t": (a.mean() - b.mean()) / error,
        }  # fmt: skip
    return found


def table(rows: Sequence[dict[str, Any]], backbone: str) -> str:
    """Markdown: every training, then mean ± standard deviation and the difference in standard errors."""
    header = ["trained by", "seed", *METRICS.values(), "time (s)"]
    cells = [
        [r["side"], str(r["seed"]), *(f"{1e3 * r[m]:.2f}" for m in METRICS), f"{r['seconds']:.0f}"]
        for r in sorted(rows, key=lambda r: (r["side"], r["seed"]))
    ]
    stats = summary(rows, backbone)
    for side, key in (("scalarfid", "scalarfid"), (backbone, "upstream")):
        means = [f"{1e3 * s[key]:.2f} ± {1e3 * s[key + '_std']:.2f}" for s in stats.values()]
        cells.append([f"**{side}**", "mean ± std", *means, ""])
    differences = [f"{1e3 * s['difference']:+.2f} (t = {s['t']:+.1f})" for s in stats.values()]
    cells.append(["**difference**", "", *differences, ""])
    return markdown(header, cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and write ``<output>/<backbone>.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone", choices=("mace", "nequip"))
    parser.add_argument("--preset", help="file of conf/backbone (<backbone>_small)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True, help="folder for the results")
    options = parser.parse_args(arguments)
    setup_logging()
    torch.set_num_threads(1)
    preset = options.preset or f"{options.backbone}_small"
    with tempfile.TemporaryDirectory() as folder:
        case = trainers.make_case(preset, options.epochs, Path(folder), torch.device("cpu"))
        rows = compare(case, options.seeds)
    overrides = trainers.words(preset, options.epochs)
    record = {"overrides": overrides, "rows": rows, "summary": summary(rows, options.backbone)}
    write_text(options.output / f"{options.backbone}.json", json.dumps(record, indent=1) + "\n")
    text = table(rows, options.backbone)
    write_text(options.output / f"{options.backbone}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
