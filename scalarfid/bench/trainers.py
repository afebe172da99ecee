"""One training by this project and by the trainer of the backbone's own package: the same frames, the same settings.

Both sides get the frames of the committed ethanol set, architecture, cutoff, E0, scale, mean number of neighbours, loss
(mean squares, energy per atom 1 : force components 10), Adam with amsgrad at a constant rate, batch size, number of
epochs, averaged weights, a validation after every epoch, in one batch, and the choice of the best by its loss; no
clipping, no weight decay, no ZBL; float32. Initial weights and batch order are each side's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from omegaconf import OmegaConf

from scalarfid.config import compose
from scalarfid.data import Dataset, load
from scalarfid.export import nequip_model
from scalarfid.potential import model_config

LR, BATCH, EMA, FORCES = 0.005, 5, 0.99, 10.0
FRAMES = 265  # for training; whole batches, since mace_run_train leaves out what is over


@dataclass(frozen=True)
class Case:
    """One comparison: configuration, data, the folder that holds ``train.xyz`` and ``val.xyz`` for upstream."""

    epochs: int
    device: torch.device
    cfg: dict[str, Any]
    dataset: Dataset
    folder: Path

    @property
    def backbone(self) -> str:
        """``mace``, ``nequip`` or ``allegro``."""
        return self.cfg["backbone"]["name"]

    @property
    def preset(self) -> str:
        """File of ``conf/backbone``."""
        return self.cfg["preset"]

    @property
    def numbers(self) -> dict[str, Any]:
        """What a potential is built from: sizes, E0, scale, mean neighbours."""
        return model_config(self.cfg, self.dataset)


def words(preset: str, epochs: int) -> list[str]:
    """Overrides of this project's training that both sides share."""
    plain = ["clip=null", "weight_decay=0", "warmup_steps=0", "schedule=constant", "loss=mse", "optimizer=adam_amsgrad"]
    sizes = [f"lr={LR}", f"batch_size={BATCH}", f"max_epochs={epochs}", f"ema_decay={EMA}", f"forces_weight={FORCES}"]
    one = "eval_batch_edges=1000000"  # validation in one batch
    training = [f"training.{word}" for word in [*plain, *sizes, one, "energy_weight=1"]]
    data = ["dataset=ethanol", f"dataset.n_train={FRAMES}"]
    return [f"backbone={preset}", "probe=none", *data, "model.zbl=false", *training]


def make_case(preset: str, epochs: int, folder: Path, device: torch.device) -> Case:
    """Compose the configuration, load the data and write the frames where upstream's trainers read them."""
    cfg = OmegaConf.to_container(compose(words(preset, epochs)), resolve=True) | {"preset": preset}
    dataset = load(cfg["dataset"], cutoff=cfg["model"]["cutoff"])
    for split in ("train", "val"):
        ase.io.write(folder / f"{split}.xyz", [frame(graph) for graph in getattr(dataset, split)], format="extxyz")
    return Case(epochs, device, cfg, dataset, folder)


def frame(graph: Any) -> Atoms:
    """A graph's atoms, periodic along all axes or none, with its labels under the calculator's names and REF_*."""
    cell = graph.cell[0].numpy()
    atoms = Atoms(graph.z.numpy(), graph.pos.numpy(), cell=cell, pbc=cell.any())
    labels = {"energy": float(graph.energy), "forces": graph.forces.numpy()}
    if graph.has_stress:
        labels["stress"] = atoms.info["REF_stress"] = graph.stress[0].numpy()
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = labels["energy"], labels["forces"]
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def ours(case: Case, seed: int) -> list[str]:
    """Command of ``scalarfid.train``; the run lies in ``runs`` in the case's folder."""
    place = [f"run.root={case.folder / 'runs'}", f"run.device={case.device}", "run.threads=1", "run.progress=false"]
    return ["-m", "scalarfid.train", *words(case.preset, case.epochs), f"seed={seed}", *place]


def compiled(case: Case, seed: int) -> list[str]:
    """The same with compiled steps."""
    return [*ours(case, seed), "run.compile=true", "run.experiment=compiled"]


def upstream(case: Case, seed: int) -> list[str]:
    """Command of the backbone's own trainer; what it writes lies in :func:`place`."""
    folder = place(case, seed)
    folder.mkdir()
    return COMMANDS[case.backbone](case, seed, folder)


def place(case: Case, seed: int) -> Path:
    """Folder of upstream's results."""
    return case.folder / f"{case.backbone}-{seed}"


def mace(case: Case, seed: int, folder: Path) -> list[str]:
    """``mace_run_train``; its best checkpoint holds averaged weights."""
    numbers, sizes = case.numbers, case.numbers["backbone"]
    options = {
        "name": "fair", "seed": seed, "work_dir": folder, "model": "ScaleShiftMACE", "device": case.device.type,
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
        "valid_batch_size": len(case.dataset.val), "max_num_epochs": case.epochs, "ema_decay": EMA, "eval_interval": 1,
    }  # fmt: skip
    return [script("mace_run_train"), *(f"--{key}={value}" for key, value in options.items()), "--ema", "--save_cpu"]


def nequip(case: Case, seed: int, folder: Path) -> list[str]:
    """``nequip-train``, for NequIP and Allegro."""
    (folder / "fair.yaml").write_text(yaml.safe_dump(nequip_config(case, seed, folder), sort_keys=False))
    return [script("nequip-train"), "-cp", str(folder), "-cn", "fair", f"hydra.run.dir={folder}"]


def script(name: str) -> str:
    """A command installed beside this Python."""
    return str(Path(sys.executable).parent / name)


COMMANDS: dict[str, Callable[[Case, int, Path], list[str]]] = {"mace": mace, "nequip": nequip, "allegro": nequip}


def nequip_config(case: Case, seed: int, folder: Path) -> dict[str, Any]:
    """Configuration of ``nequip-train``."""
    loss = {"_target_": "nequip.train.EnergyForceLoss", "coeffs": {"total_energy": 1.0, "forces": FORCES}}
    best = {"monitor": "val0_epoch/weighted_sum", "dirpath": str(folder), "filename": "best"}
    return {
        "run": ["train"],
        "data": nequip_data(case, seed),
        "trainer": {
            "_target_": "lightning.Trainer",
            "accelerator": "cpu" if case.device.type == "cpu" else "gpu",
            "devices": 1,
            "max_epochs": case.epochs,
            "enable_progress_bar": False,
            "logger": False,
            "callbacks": [{"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", **best}],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": EMA,
            "loss": loss,
            "val_metrics": loss,
            "optimizer": {"_target_": "torch.optim.Adam", "lr": LR, "amsgrad": True},
            "model": {"seed": seed, **nequip_model(case.numbers)},
        },
        "global_options": {"allow_tf32": False},
    }


def nequip_data(case: Case, seed: int) -> dict[str, Any]:
    """Its ``data`` section."""
    numbers, transforms = case.numbers, "nequip.data.transforms"
    names = [chemical_symbols[z] for z in numbers["elements"]]
    batches = {"_target_": "torch.utils.data.DataLoader"}
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": seed,
        "train_file_path": str(case.folder / "train.xyz"),
        "val_file_path": str(case.folder / "val.xyz"),
        "transforms": [
            {"_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper", "model_type_names": names},
            {"_target_": f"{transforms}.NeighborListTransform", "r_max": numbers["cutoff"]},
        ],
        "train_dataloader": {**batches, "batch_size": BATCH, "shuffle": True},
        "val_dataloader": {**batches, "batch_size": len(case.dataset.val)},
    }
