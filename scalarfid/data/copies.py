"""Which frames are copies of each other: the same atoms at the same places, or turned, mirrored or renumbered."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scalarfid.data.graphs import neighbours
from scalarfid.data.labels import labels_of

SAME_ENERGY = 1e-5  # eV per frame
NEAREST = 20  # frames of nearest energy that are compared
RANGE = 6.0  # Å
SAME_SHAPE = 1e-5  # relative, of the sums in ``shape``


def signature(atoms: Atoms) -> Hashable:
    """Elements, positions and periodic cell to 1e-5 Å: equal for the same frame written twice, whatever its labels."""
    cell = np.round(atoms.cell[:], 5) + 0.0 if atoms.pbc.any() else np.zeros((3, 3))
    positions = np.round(atoms.positions, 5) + 0.0
    return atoms.numbers.tobytes(), positions.tobytes(), cell.tobytes(), atoms.pbc.tobytes()


def shape(atoms: Atoms) -> NDArray[np.float64]:
    """Numbers [4,N] that no rotation, reflection, translation or order of the atoms changes.

    z_i and Σ_j z_j (1 − u²)³ u^(2k), u = r_ij / 6 Å, k = 0, 1, 2, each row sorted.
    """
    cell = np.asarray(atoms.cell[:])
    (i, j), shifts = neighbours(atoms.positions, cell, atoms.pbc, RANGE)
    r = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ cell, axis=1)
    u2 = (r / RANGE) ** 2
    weight = atoms.numbers[j] * (1 - u2) ** 3
    sums = [np.bincount(i, weight * u2**k, minlength=len(atoms)) for k in range(3)]
    return np.stack([np.sort(row) for row in (atoms.numbers, *sums)])


def copy_classes(frames: Sequence[Atoms]) -> NDArray[np.int64]:
    """A number [frames] that copies have in common.

    Two frames are copies when their signatures are equal, or when energy (to 1e-5 eV), elements and ``shape`` are:
    an invariant model cannot tell a turned frame from the original, so both must be on one side of a split.
    """
    pairs = _identical(frames) + _equivalent(frames)
    rows, columns = np.array(pairs, dtype=int).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(frames), len(frames)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _identical(frames: Sequence[Atoms]) -> list[tuple[int, int]]:
    first: dict[Hashable, int] = {}
    return [(first.setdefault(signature(atoms), n), n) for n, atoms in enumerate(frames)]


def _equivalent(frames: Sequence[Atoms]) -> list[tuple[int, int]]:
    energies = {n: energy for n, atoms in enumerate(frames) if (energy := labels_of(atoms).energy) is not None}
    order = sorted(energies, key=lambda n: energies[n])
    shapes: dict[int, NDArray[np.float64]] = {}
    pairs = []
    for place, n in enumerate(order):
        for m in order[place + 1 : place + 1 + NEAREST]:
            if energies[m] - energies[n] > SAME_ENERGY:
                break
            if len(frames[n]) == len(frames[m]):
                for k in (n, m):
                    shapes.setdefault(k, shape(frames[k]))
                if np.allclose(shapes[n], shapes[m], rtol=SAME_SHAPE):
                    pairs.append((n, m))
    return pairs
