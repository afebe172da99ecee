"""A list that is kept while atoms move gives what a search gives."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, molecule

from scalarfid.data import VerletList, graphs, verlet

CUTOFF = 4.0
STRUCTURES = {"crystal": bulk("Si", cubic=True) * 2, "one atom": bulk("Ag"), "molecule": molecule("CH3CH2OH")}


def rows(pairs):
    return np.vstack([*pairs[0], *pairs[1].T]).T.tolist()


def found_by(search, atoms, cutoff=CUTOFF):
    return rows(search(atoms.positions, atoms.cell[:], atoms.pbc, cutoff))


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize(("step", "searches"), [(0.01, 1), (1.0, 12)])
def test_moving_atoms_have_the_neighbours_of_a_search(name, step, searches, monkeypatch):
    calls = []
    monkeypatch.setattr(verlet, "neighbours", lambda *given: calls.append(given) or graphs.neighbours(*given))
    rng, find, atoms = np.random.default_rng(0), VerletList(), STRUCTURES[name].copy()
    for _ in range(12):
        assert sorted(found_by(find, atoms)) == sorted(found_by(graphs.neighbours, atoms))
        atoms.positions += step * rng.uniform(-1, 1, atoms.positions.shape)
    assert len(calls) == searches


def test_order_does_not_depend_on_what_came_before():
    find, atoms = VerletList(), STRUCTURES["crystal"].copy()
    found_by(find, atoms)
    atoms.rattle(0.05, seed=1)
    assert find(atoms.positions, atoms.cell[:], atoms.pbc, CUTOFF)[0].flags["C_CONTIGUOUS"]  # else it is slow
    assert found_by(find, atoms) == found_by(VerletList(), atoms)


@pytest.mark.parametrize("change", ["cell", "pbc", "atoms", "cutoff"])
def test_another_structure_is_searched_anew(change):
    find, atoms, cutoff = VerletList(), STRUCTURES["crystal"].copy(), CUTOFF
    found_by(find, atoms)
    if change == "cell":
        atoms.set_cell(1.1 * atoms.cell[:])
    elif change == "pbc":
        atoms.pbc = [True, True, False]
    elif change == "atoms":
        atoms = atoms[:-5]
    else:
        cutoff = 5.0
    assert sorted(found_by(find, atoms, cutoff)) == sorted(found_by(graphs.neighbours, atoms, cutoff))
