"""Train a bare backbone with this project and with the trainer of its own package, at equal settings, and compare.

python scripts/fair.py mace --seeds 0 1 2 --output experiments/fair
python scripts/fair.py nequip --seeds 0 1 2 --output experiments/fair

Both sides get the same frames of the committed ethanol set, architecture, cutoff, E0, scale, mean number of
neighbours, loss (mean squares, energy per atom 1 : force components 10), Adam with amsgrad at a constant rate, batch
size, number of epochs, averaged weights, and choice of the epoch by validation loss; no gradient clipping, no weight
decay, no ZBL. Initial weights and batch order are each side's own. The weights that each ends with are loaded into one
and the same potential here and measured on the same test frames.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from omegaconf import OmegaConf

import scalarfid
from scalarfid.config import compose
from scalarfid.data import Dataset, load
from scalarfid.files import write_text
from scalarfid.log import log, setup_logging
from scalarfid.potential import Potential, model_config
from scalarfid.results.tables import markdown
from scalarfid.training.metrics import errors_of

LR, BATCH, EMA, FORCES = 0.005, 5, 0.99, 10.0
FRAMES = 265  # for training; whole batches, since mace_run_train leaves out what is over
METRICS = {"energy_per_atom_mae": "E MAE (meV/atom)", "forces_mae": "F MAE (meV/Å)", "forces_rmse": "F RMSE (meV/Å)"}


@dataclass(frozen=True)
class Case:
    """One comparison: configuration, data and the numbers both sides are given."""

    backbone: str
    preset: str
    epochs: int
    cfg: dict[str, Any]
    dataset: Dataset
    folder: Path

    @property
    def numbers(self) -> dict[str, Any]:
        """What a potential is built from: sizes, E0, scale, mean neighbours."""
        return model_config(self.cfg, self.dataset)


def words(preset: str, epochs: int) -> list[str]:
    """Overrides of this project's training that both sides share."""
    plain = ["clip=null", "weight_decay=0", "warmup_steps=0", "schedule=constant", "loss=mse", "optimizer=adam_amsgrad"]
    sizes = [f"lr={LR}", f"batch_size={BATCH}", f"max_epochs={epochs}", f"ema_decay={EMA}", f"forces_weight={FORCES}"]
    training = [f"training.{word}" for word in [*plain, *sizes, "energy_weight=1"]]
    return [
        f"backbone={preset}",
        "probe=none",
        "dataset=ethanol",
        f"dataset.n_train={FRAMES}",
        "model.zbl=false",
        *training,
    ]


def make_case(backbone: str, preset: str, epochs: int, folder: Path) -> Case:
    """Compose the configuration, load the data and write the frames where upstream's trainers read them."""
    cfg = OmegaConf.to_container(compose(words(preset, epochs)), resolve=True)
    dataset = load(cfg["dataset"], cutoff=cfg["model"]["cutoff"])
    for split in ("train", "val"):
        ase.io.write(folder / f"{split}.xyz", [frame(graph) for graph in getattr(dataset, split)], format="extxyz")
    return Case(backbone, preset, epochs, cfg, dataset, folder)


def frame(graph: Any) -> Atoms:
    """A graph's atoms with its labels, under the calculator's names and under REF_*."""
    atoms = Atoms(graph.z.numpy(), graph.pos.numpy())
    energy, forces = float(graph.energy), graph.forces.numpy()
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def command(*line: Any, cwd: Path | None = None) -> str:
    """Run a command on one thread and return its standard output; its messages are shown if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    result = subprocess.run([*map(str, line)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, line))}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return result.stdout


def ours(case: Case, seed: int) -> Potential:
    """Train with ``scalarfid.train``."""
    place = [f"run.root={case.folder / 'runs'}", "run.device=cpu", "run.threads=1", "run.progress=false"]
    line = [*words(case.preset, case.epochs), f"seed={seed}", *place]
    directory = command(sys.executable, "-m", "scalarfid.train", *line).splitlines()[-1]
    return scalarfid.load(directory)


def mace(case: Case, seed: int) -> Potential:
    """Train with ``mace_run_train``; the best checkpoint holds averaged weights."""
    numbers, sizes, folder = case.numbers, case.numbers["backbone"], case.folder / f"mace-{seed}"
    folder.mkdir()
    options = {
        "name": "fair", "seed": seed, "work_dir": folder, "model": "ScaleShiftMACE", "device": "cpu",
        "train_file": case.folder / "train.xyz", "valid_file": case.folder / "val.xyz",
        "energy_key": "REF_energy", "forces_key": "REF_forces", "E0s": numbers["e0"], "default_dtype": "float32",
        "num_channels": sizes["channels"], "max_L": sizes["hidden_l"], "max_ell": sizes["l_max"],
        "num_interactions": sizes["num_layers"], "correlation": sizes["correlation"], "r_max": numbers["cutoff"],
        "num_radial_basis": sizes["num_bessel"], "num_cutoff_basis": sizes["envelope_power"],
        "radial_MLP": sizes["radial_mlp"], "MLP_irreps": f"{sizes['readout_width']}x0e",
        "interaction": "RealAgnosticResidualInteractionBlock",
        "interaction_first": "RealAgnosticResidualInteractionBlock", "std": numbers["scale"], "mean": 0.0,
        "compute_avg_num_neighbors": False, "avg_num_neighbors": numbers["mean_neighbours"],
        "loss": "weighted", "energy_weight": 1.0, "forces_weight": FORCES, "optimizer": "adam", "lr": LR,
        "weight_decay": 0.0, "scheduler_patience": 10**6, "patience": 10**6, "clip_grad": "None", "batch_size": BATCH,
        "valid_batch_size": 10, "max_num_epochs": case.epochs, "ema_decay": EMA, "eval_interval": 1,
    }  # fmt: skip
    command(
        "mace_run_train", *(f"--{key}={value}" for key, value in options.items()), "--ema", "--save_cpu", cwd=folder
    )
    (checkpoint,) = (folder / "checkpoints").glob("fair_run-*_epoch-*.pt")
    return native(case, torch.load(checkpoint, weights_only=False, map_location="cpu")["model"])  # ours: made above


def nequip(case: Case, seed: int) -> Potential:
    """Train with ``nequip-train``; the best checkpoint holds averaged weights."""
    folder = case.folder / f"nequip-{seed}"
    folder.mkdir()
    (folder / "fair.yaml").write_text(yaml.safe_dump(nequip_config(case, seed, folder), sort_keys=False))
    command("nequip-train", "-cp", folder, "-cn", "fair", f"hydra.run.dir={folder}", cwd=folder)
    state = torch.load(folder / "best.ckpt", weights_only=False, map_location="cpu")  # ours: made on the line above
    potential = native(case, state["state_dict"])
    # nequip keeps the averages as a list in the order of the model's parameters.
    parameters = list(potential.backbone.model.parameters())
    averages = [state["state_dict"][f"ema.ema_weight_{i}"] for i in range(len(parameters))]
    with torch.no_grad():
        for parameter, average in zip(parameters, averages, strict=True):
            parameter.copy_(average)
    return potential


def nequip_config(case: Case, seed: int, folder: Path) -> dict[str, Any]:
    """Configuration of ``nequip-train``."""
    numbers, sizes = case.numbers, case.numbers["backbone"]
    names, cutoff = [chemical_symbols[z] for z in numbers["elements"]], numbers["cutoff"]
    loss = {"_target_": "nequip.train.EnergyForceLoss", "coeffs": {"total_energy": 1.0, "forces": FORCES}}
    batches = {"_target_": "torch.utils.data.DataLoader", "batch_size": BATCH}
    transforms = "nequip.data.transforms"
    return {
        "run": ["train"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule",
            "seed": seed,
            "train_file_path": str(case.folder / "train.xyz"),
            "val_file_path": str(case.folder / "val.xyz"),
            "transforms": [
                {"_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper", "model_type_names": names},
                {"_target_": f"{transforms}.NeighborListTransform", "r_max": cutoff},
            ],
            "train_dataloader": {**batches, "shuffle": True},
            "val_dataloader": batches,
        },
        "trainer": {
            "_target_": "lightning.Trainer",
            "accelerator": "cpu",
            "max_epochs": case.epochs,
            "enable_progress_bar": False,
            "logger": False,
            "callbacks": [
                {
                    "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "monitor": "val0_epoch/weighted_sum",
                    "dirpath": str(folder),
                    "filename": "best",
                }
            ],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": EMA,
            "loss": loss,
            "val_metrics": loss,
            "optimizer": {"_target_": "torch.optim.Adam", "lr": LR, "amsgrad": True},
            "model": {
                "_target_": "nequip.model.NequIPGNNModel",
                "seed": seed,
                "model_dtype": "float32",
                "type_names": names,
                "r_max": cutoff,
                "avg_num_neighbors": numbers["mean_neighbours"],
                "per_type_energy_scales": numbers["scale"],
                "per_type_energy_shifts": {chemical_symbols[z]: e for z, e in numbers["e0"].items()},
                "num_layers": sizes["num_layers"],
                "num_features": sizes["channels"],
                "radial_mlp_depth": sizes["radial_mlp_depth"],
                "radial_mlp_width": sizes["radial_mlp_width"],
                "num_bessels": sizes["num_bessel"],
                "polynomial_cutoff_p": sizes["envelope_power"],
                "l_max": sizes["l_max"],
                "parity": sizes["parity"],
            },
        },
        "global_options": {"allow_tf32": False},
    }


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


def compare(case: Case, upstream: Callable[[Case, int], Potential], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Train both sides with every seed; one row per training."""
    rows = []
    for seed in seeds:
        for side, train in (("scalarfid", ours), (upstream.__name__, upstream)):
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
        case = make_case(options.backbone, preset, options.epochs, Path(folder))
        rows = compare(case, {"mace": mace, "nequip": nequip}[options.backbone], options.seeds)
    overrides = words(preset, options.epochs)
    record = {"overrides": overrides, "rows": rows, "summary": summary(rows, options.backbone)}
    write_text(options.output / f"{options.backbone}.json", json.dumps(record, indent=1) + "\n")
    text = table(rows, options.backbone)
    write_text(options.output / f"{options.backbone}.md", text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
