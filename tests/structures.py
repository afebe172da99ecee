"""Structures for tests, built so that what is claimed of them can be measured exactly.

A finite difference is worthless across a point where the energy is only C²: the cutoff, the ends of the coordination
switch, the end of ZBL. :func:`clear` tells whether every edge keeps a distance from all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import ase.build
import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from scalarfid.data.coordination import OFF, ON

CUTOFF = 4.0
STEP = 5e-4  # Å, of finite differences
MARGIN = 5 * STEP


def clear(atoms: Atoms, cutoff: float = CUTOFF, margin: float = MARGIN) -> bool:
    """Whether no pair is within ``margin`` of a distance at which the energy is not analytic."""
    i, j, d = neighbor_list("ijd", atoms, cutoff + margin)
    bond = covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]]
    ends = [np.full_like(d, cutoff), bond, ON * bond, np.minimum(OFF * bond, cutoff)]
    return all(np.abs(d - end).min(initial=np.inf) > margin for end in ends)


def surroundings_by_hand(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """c_i [N] by the covalent switch and nearest neighbour [N] in Å (∞ without), by ASE and numpy alone: an oracle."""
    i, j, d = neighbor_list("ijd", atoms, cutoff)
    bond = covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]]
    off = np.minimum(1.45 * bond, cutoff)
    x = np.clip((d - 1.15 / 1.45 * off) / (0.3 / 1.45 * off), 0, 1)
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, i, d)
    return np.bincount(i, 1 - 10 * x**3 + 15 * x**4 - 6 * x**5, minlength=len(atoms)), nearest


def rattled(atoms: Atoms, amplitude: float, cutoff: float = CUTOFF) -> Atoms:
    """``atoms`` rattled with the first seed that leaves them clear."""
    for seed in range(1000):
        trial = atoms.copy()
        trial.rattle(amplitude, seed=seed)
        if clear(trial, cutoff):
            return trial
    raise RuntimeError("no seed leaves this structure clear")


@functools.cache
def molecule(cutoff: float = CUTOFF) -> Atoms:
    """Ethanol: three elements, nine atoms, no cell; bonds stretched by a fifth, into the coordination switch."""
    atoms = ase.build.molecule("CH3CH2OH")
    atoms.positions *= 1.2
    return rattled(atoms, 0.05, cutoff)


@functools.cache
def crystal(cutoff: float = CUTOFF) -> Atoms:
    """Zincblende SiC, four atoms in a sheared cell shorter than the cutoff: atoms see their own images."""
    atoms = ase.build.bulk("SiC", "zincblende", a=4.36) * (2, 1, 1)
    strain = np.array([[1.01, 0.02, 0.0], [0.0, 0.99, 0.03], [0.01, 0.0, 1.0]])
    atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
    return rattled(atoms, 0.08, cutoff)


def lone(symbol: str = "O") -> Atoms:
    """One atom: a graph without edges."""
    return Atoms(symbol, [[0.3, -0.2, 0.1]])


def slab() -> Atoms:
    """Si with vacuum above, periodic along two axes only."""
    atoms = ase.build.bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.rattle(0.05, seed=3)
    atoms.center(vacuum=6.0, axis=2)
    atoms.pbc = (True, True, False)
    return atoms


def mixed() -> list[Atoms]:
    """Frames that have nothing in common, with every element of the test potentials."""
    return [molecule(), crystal(), lone(), slab()]


def chain(length: int = 6) -> Atoms:
    """A zigzag of carbon with neighbours only along the chain, for receptive fields."""
    x = 2.6 * np.arange(length)
    y = np.where(np.arange(length) % 2, 0.7, 0.0)
    atoms = Atoms(f"C{length}", np.stack([x, y, np.zeros(length)], axis=1))
    atoms.rattle(0.05, seed=4)
    return atoms


def leaving_dimer(gap: float) -> Atoms:
    """Two atoms at the cutoff plus ``gap``."""
    return Atoms("CO", [[0, 0, 0], [CUTOFF + gap, 0, 0]])


def leaving_pair(gap: float) -> Atoms:
    """An atom at the cutoff plus ``gap`` from one of two bonded atoms, further from the other."""
    return Atoms("CCO", [[0, 0, 0], [-1.3, 0.6, 0.2], [CUTOFF + gap, 0, 0]])


def leaving_crystal(gap: float) -> Atoms:
    """An atom at the cutoff plus ``gap`` above the topmost atom of a surface, in a cell with vacuum."""
    atoms = ase.build.bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.rattle(0.05, seed=5)
    top = atoms.positions[atoms.positions[:, 2].argmax()]
    atoms.append("C")
    atoms.positions[-1] = [*top[:2], top[2] + CUTOFF + gap]
    atoms.cell[2, 2] += 14.0
    return atoms


LEAVING: dict[str, Callable[[float], Atoms]] = {
    "dimer": leaving_dimer,
    "pair": leaving_pair,
    "crystal": leaving_crystal,
}
