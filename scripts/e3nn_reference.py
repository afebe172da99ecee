"""Write the energies MACE gives on the e3nn it pins (0.4.4), for the test that this project's e3nn gives the same.

Run in an environment of its own, made as upstream pins it::

    python -m venv old && old/bin/pip install 'mace-torch==0.3.16' 'torch==2.13.*'
    old/bin/python scripts/e3nn_reference.py tests/backbones/e3nn_0.4.4.npz

The file holds, for every model below, the constructor's arguments (JSON), the full state_dict (weights, and the Wigner
3j and U tensors that e3nn computed), and energy, forces and stress of a molecule and a crystal, all float64.
``tests/backbones/test_e3nn.py`` builds and evaluates with the functions of this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from mace import modules  # before e3nn: it lets e3nn 0.4.4 read its own constants under torch 2.6 and later

from e3nn import o3  # isort: skip
from matscipy.neighbours import neighbour_list

BLOCK = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
ELEMENTS = [3, 9]
CUTOFF = 4.0
# Each has paths of odd l1 + l2 + l3, where e3nn changed signs: (1, 2, 2) in all, (1, 1, 1) with the pseudo-vectors 1e.
MODELS: dict[str, dict[str, Any]] = {
    "l1_correlation2": {"hidden_irreps": "8x0e+8x1o", "max_ell": 3, "correlation": 2},
    "l1_correlation3": {"hidden_irreps": "8x0e+8x1o", "max_ell": 3, "correlation": 3},
    "l2_correlation2": {"hidden_irreps": "8x0e+8x1o+8x2e", "max_ell": 3, "correlation": 2},
    "l2_correlation3": {"hidden_irreps": "8x0e+8x1o+8x2e", "max_ell": 2, "correlation": 3},
    "both_parities": {"hidden_irreps": "8x0e+8x1o+8x1e", "max_ell": 2, "correlation": 3},
}
LARGEST_L = 4  # of the table of Wigner 3j symbols


def build_model(arguments: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """Build a float64 ``ScaleShiftMACE``; the caller has made float64 torch's default.

    The weights of the many-body products are enlarged: as drawn, their highest orders hardly show in the energy.
    """
    torch.manual_seed(seed)
    model = modules.ScaleShiftMACE(
        r_max=CUTOFF,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=arguments["max_ell"],
        interaction_cls=BLOCK,
        interaction_cls_first=BLOCK,
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps(arguments["hidden_irreps"]),
        MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=np.array([-1.5, -4.0]),
        avg_num_neighbors=3.0,
        atomic_numbers=ELEMENTS,
        correlation=arguments["correlation"],
        gate=torch.nn.functional.silu,
        radial_MLP=[16, 16],
        atomic_inter_scale=2.0,
        atomic_inter_shift=0.1,
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".symmetric_contractions." in name:
                parameter.mul_(6.0)
    return model


def structures() -> dict[str, Atoms]:
    """Return a distorted molecule and a strained, rattled crystal of Li and F."""
    cluster = molecule("H2O2")
    cluster.symbols = "F2Li2"
    cluster.rattle(0.15, seed=1)
    crystal = bulk("LiF", "rocksalt", a=4.03, cubic=True)
    crystal.set_cell(crystal.cell.array @ (np.eye(3) + 0.02 * np.array([[1, 1, 0], [1, -1, 2], [0, 2, 0.5]])), True)
    crystal.rattle(0.1, seed=2)
    return {"molecule": cluster, "crystal": crystal}


def inputs(positions: np.ndarray, numbers: np.ndarray, cell: np.ndarray) -> dict[str, torch.Tensor]:
    """Return MACE's inputs for positions [N,3] Å, atomic numbers [N], cell [3,3] Å (zero for a molecule)."""
    periodic = bool(cell.any())
    box = cell if periodic else np.eye(3) * 100
    i, j, shifts = neighbour_list("ijS", Atoms(numbers, positions, cell=box, pbc=periodic), cutoff=CUTOFF)
    species = torch.tensor([ELEMENTS.index(z) for z in numbers.tolist()])
    return {
        "positions": torch.tensor(positions),
        "node_attrs": torch.nn.functional.one_hot(species, len(ELEMENTS)).to(torch.float64),
        "edge_index": torch.tensor(np.stack([i, j]), dtype=torch.int64),
        "unit_shifts": torch.tensor(shifts, dtype=torch.float64),
        "shifts": torch.tensor(shifts @ cell),
        "cell": torch.tensor(cell),
        "batch": torch.zeros(len(numbers), dtype=torch.int64),
        "ptr": torch.tensor([0, len(numbers)]),
        "head": torch.zeros(1, dtype=torch.int64),
    }


def evaluate(
    model: torch.nn.Module, positions: np.ndarray, numbers: np.ndarray, cell: np.ndarray
) -> dict[str, np.ndarray]:
    """Return energy [] eV, forces [N,3] eV/Å and, for a crystal, stress [3,3] eV/Å³."""
    out = model(inputs(positions, numbers, cell), compute_force=True, compute_stress=bool(cell.any()))
    result = {"energy": out["energy"][0], "forces": out["forces"]}
    if cell.any():
        result["stress"] = out["stress"][0]
    return {key: value.detach().numpy() for key, value in result.items()}


def main() -> None:
    """Write the reference file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="the .npz file to write")
    output = parser.parse_args().output
    torch.set_default_dtype(torch.float64)
    frames = structures()
    provenance = {"models": MODELS, "versions": {name: version(name) for name in ("e3nn", "mace-torch", "torch")}}
    arrays: dict[str, np.ndarray] = {"json": np.array(json.dumps(provenance))}
    for name, atoms in frames.items():
        cell = atoms.cell.array if atoms.pbc.all() else np.zeros((3, 3))
        arrays |= {f"{name}/positions": atoms.positions, f"{name}/numbers": atoms.numbers, f"{name}/cell": cell}
    for name, arguments in MODELS.items():
        model = build_model(arguments)
        arrays |= {f"{name}/state/{key}": value.detach().numpy() for key, value in model.state_dict().items()}
        for frame in frames:
            graph = (arrays[f"{frame}/{key}"] for key in ("positions", "numbers", "cell"))
            arrays |= {f"{name}/{frame}/{key}": value for key, value in evaluate(model, *graph).items()}
    for triple in itertools.product(range(LARGEST_L + 1), repeat=3):
        if abs(triple[0] - triple[1]) <= triple[2] <= triple[0] + triple[1]:
            arrays["wigner_3j/{}_{}_{}".format(*triple)] = o3.wigner_3j(*triple).numpy()
    np.savez_compressed(output, **arrays)
    print(f"e3nn {version('e3nn')}: {len(MODELS)} models written to {output} ({output.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
