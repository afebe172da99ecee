from __future__ import annotations

import os
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def stand_in():
    root = os.environ.get("SCALARFID_DATA")
    if not root:
        pytest.skip("SCALARFID_DATA is not set")
    return Path(root)


def molecule_frame(seed: int, **labels) -> Atoms:
    """Water, displaced at random, with labels that no check refuses (a sum of forces of zero)."""
    rng = np.random.default_rng(seed)
    atoms = Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    atoms.positions += rng.normal(0, 0.05, (3, 3))
    forces = rng.normal(0, 1, (3, 3))
    atoms.info["REF_energy"] = labels.get("energy", -14.0 + rng.normal(0, 0.1))
    atoms.arrays["REF_forces"] = labels.get("forces", forces - forces.mean(0))
    return atoms


def crystal_frame(seed: int) -> Atoms:
    """Four Cu atoms in a small strained cell with EMT's energy, forces and stress."""
    from ase.build import bulk

    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + rng.normal(0, 0.01, (3, 3))), scale_atoms=True)
    atoms.calc = EMT()
    atoms.info["REF_energy"] = atoms.get_potential_energy()
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.info["REF_stress"] = atoms.get_stress(voigt=False)
    atoms.calc = None
    return atoms


@pytest.fixture
def write(tmp_path):
    """Write frames to an extended xyz (or other) file and give its path as a string."""

    def writer(frames, name="frames.xyz", **options):
        path = tmp_path / name
        ase.io.write(path, frames, **options)
        return str(path)

    return writer
