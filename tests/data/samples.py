"""Frames for the tests of this folder."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT


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
