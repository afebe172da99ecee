"""A bare NequIP or Allegro as a checkpoint of nequip, for its own tools: compiled calculators, packages, LAMMPS.

python -m scalarfid.export model=<run directory> out=model.ckpt
nequip-compile model.ckpt model.nequip.pt2 --mode aotinductor --device cpu --target ase

Words are key=value:

model       run directory or .safetensors file (required)
out         checkpoint to write (model.ckpt); a small structure for nequip-compile is put beside it (model.xyz).
            Neither may exist

The weights are those of the run, E0 and scale included; probes and ZBL have no place in nequip's own classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from rich.console import Console

from scalarfid.errors import ScalarFidError
from scalarfid.files import replacing
from scalarfid.potential import Potential, load
from scalarfid.words import command, options_of, show_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a checkpoint; the exit status is 0, or 2 after bad input."""
    return command(__doc__, arguments, _export)


def _export(words: list[str], out: Console) -> None:
    options, others = options_of(words, {"model": None, "out": "model.ckpt"})
    if others or options["model"] is None:
        raise ScalarFidError(f"Cannot use {others[0]!r}: give model=… and out=…." if others else "Give model=….")
    path = Path(options["out"]).absolute()
    write_checkpoint(load(options["model"]), path)
    show_path(out, path)


def write_checkpoint(potential: Potential, path: Path) -> None:
    """Write what ``nequip.train.NequIPLightningModule`` would save after training the same model.

    Raises:
        ScalarFidError: the potential is more than the upstream class, or none of nequip's; a file that exists or cannot
            be written.
    """
    numbers = potential.config
    name, probe = numbers["backbone"]["name"], numbers["probe"]["name"]
    if name not in ("nequip", "allegro"):
        raise ScalarFidError(f"backbone={name} is none of nequip's; train a nequip or an allegro.")
    if probe != "none" or numbers["zbl"]:
        extra = f"probe={probe}" if probe != "none" else "model.zbl=true"
        raise ScalarFidError(f"{extra}: nequip's classes have no place for it; train with probe=none model.zbl=false.")
    model, structure = nequip_model(numbers), _beside(path)
    settings = {
        "model": {"seed": numbers["seed"], **model},
        "num_datasets": {"train": 1, "val": 1, "test": 0, "predict": 0},
        "info_dict": {
            "versions": {},
            "data": _data(structure, model),
            "training_module": {"_target_": "nequip.train.NequIPLightningModule"},
        },
    }
    state = {f"model.sole_model.{key}": value for key, value in potential.native_state().items()}
    state["run_stage"] = torch.zeros(1, dtype=torch.int64)
    versions = {"pytorch-lightning_version": "2.5.0"}  # of the format
    with replacing(path) as checkpoint, replacing(structure) as frame, checkpoint.open("wb") as file:
        ase.io.write(frame, _structure(numbers["elements"], numbers["cutoff"]), format="extxyz")
        torch.save({"hyper_parameters": settings, "state_dict": state, **versions}, file)


def _beside(path: Path) -> Path:
    """Where the structure goes; refuses to write over a file."""
    structure = path.with_suffix(".xyz")
    if structure == path:
        raise ScalarFidError(f"out={path} is where the structure goes; end it in .ckpt.")
    for file in (path, structure):
        if file.exists():
            raise ScalarFidError(f"{file} exists, and is not written over; choose another out=….")
    return structure


def _structure(elements: Sequence[int], cutoff: float) -> Atoms:
    """Eight or more rattled atoms in a box, each element among them, with neighbours; its energy says nothing."""
    corners = np.stack(np.meshgrid(*[range(2), range(2), range(max(2, -(-len(elements) // 4)))]), -1).reshape(-1, 3)
    atoms = Atoms([elements[k % len(elements)] for k in range(len(corners))], positions=0.4 * cutoff * corners)
    atoms.rattle(0.1, seed=0)
    atoms.center(vacuum=cutoff)
    atoms.pbc = True  # a stress is among what is compiled
    return atoms


def _data(structure: Path, model: dict[str, Any]) -> dict[str, Any]:
    """Section ``data`` of nequip's configuration, for the shapes that its compiler traces with."""
    transforms = "nequip.data.transforms"
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 0,
        "train_file_path": str(structure),
        "val_file_path": str(structure),
        "transforms": [
            {"_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper", "model_type_names": model["type_names"]},
            {"_target_": f"{transforms}.NeighborListTransform", "r_max": model["r_max"]},
        ],
    }


def nequip_model(numbers: dict[str, Any]) -> dict[str, Any]:
    """Upstream's builder of NequIP or Allegro and its arguments, from the numbers of a potential."""
    sizes, symbols = numbers["backbone"], {z: chemical_symbols[z] for z in numbers["elements"]}
    shared = {
        "model_dtype": numbers["dtype"],
        "type_names": list(symbols.values()),
        "r_max": numbers["cutoff"],
        "avg_num_neighbors": numbers["mean_neighbours"],
        "per_type_energy_scales": numbers["scale"],
        "per_type_energy_shifts": {symbol: numbers["e0"].get(z, 0.0) for z, symbol in symbols.items()},
        "l_max": sizes["l_max"],
        "parity": sizes["parity"],
        "num_layers": sizes["num_layers"],
    }
    if sizes["name"] == "nequip":
        return shared | {
            "_target_": "nequip.model.NequIPGNNModel",
            "num_features": sizes["channels"],
            "radial_mlp_depth": sizes["radial_mlp_depth"],
            "radial_mlp_width": sizes["radial_mlp_width"],
            "num_bessels": sizes["num_bessel"],
            "polynomial_cutoff_p": sizes["envelope_power"],
        }
    return shared | {
        "_target_": "allegro.model.AllegroModel",
        "radial_chemical_embed": {
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": sizes["num_bessel"],
            "polynomial_cutoff_p": sizes["envelope_power"],
        },
        "scalar_embed_mlp_hidden_layers_depth": sizes["mlp_depth"],
        "scalar_embed_mlp_hidden_layers_width": sizes["mlp_width"],
        "num_scalar_features": sizes["num_scalar"],
        "num_tensor_features": sizes["num_tensor"],
        "allegro_mlp_hidden_layers_depth": sizes["mlp_depth"],
        "allegro_mlp_hidden_layers_width": sizes["mlp_width"],
        "readout_mlp_hidden_layers_depth": sizes["readout_depth"],
        "readout_mlp_hidden_layers_width": sizes["readout_width"],
    }


if __name__ == "__main__":
    sys.exit(main())
