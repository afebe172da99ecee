"""ZBL against an evaluation of the textbook formula in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.data import covalent_radii

from scalarfid.data.graphs import build_graph
from scalarfid.potential.zbl import ZBL

ELEMENTS = [1, 14, 47]


def textbook(zi: int, zj: int, r: float) -> float:
    """Ziegler, Biersack, Littmark (1985) in eV with the C² envelope up to the covalent sum; r in Å."""
    a = 0.8854 * 0.529177210903 / (zi**0.23 + zj**0.23)
    x = r / a
    phi = 0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
    phi += 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    u = r / (covalent_radii[zi] + covalent_radii[zj])
    envelope = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8 if u < 1 else 0.0
    return 14.3996454784255 * zi * zj / r * phi * envelope


def energies(atoms: Atoms) -> torch.Tensor:
    graph = build_graph(atoms, 4.0)
    species = torch.tensor([ELEMENTS.index(z) for z in atoms.numbers])
    centre, neighbour = graph.edge_index
    shifts = graph.unit_shifts @ graph.cell[0]
    r = (graph.pos[neighbour] - graph.pos[centre] + shifts).norm(dim=1)
    return ZBL(ELEMENTS, 4.0)(r, species, centre, neighbour)


@pytest.mark.parametrize("r", [0.3, 0.7, 1.1, 1.7, 2.2, 2.8])
@pytest.mark.parametrize("pair", itertools.combinations_with_replacement(ELEMENTS, 2))
def test_a_pair_has_the_textbook_energy_shared_equally(pair, r):
    found = energies(Atoms(pair, [[0, 0, 0], [0, 0, r]]))
    assert found.sum() == pytest.approx(textbook(*pair, r), rel=1e-6, abs=1e-12)
    assert float(found[0]) == pytest.approx(float(found[1]), rel=1e-14)


def test_the_coulomb_constant_is_ases():
    assert units.Hartree * units.Bohr == pytest.approx(14.3996454784255, rel=1e-6)


def test_it_is_exactly_zero_beyond_the_covalent_sum():
    reach = covalent_radii[14] + covalent_radii[47]
    assert energies(Atoms("SiAg", [[0, 0, 0], [0, 0, reach * 0.99]])).sum() > 0
    assert not energies(Atoms("SiAg", [[0, 0, 0], [0, 0, reach * 1.0001]])).any()


def test_a_crystal_sums_its_pairs_over_periodic_images():
    atoms = Atoms("SiAg", [[0, 0, 0], [1.1, 1.0, 1.2]], cell=[2.2, 2.3, 2.4], pbc=True)
    expected = 0.0
    for i, j in itertools.product(range(2), repeat=2):
        for n in itertools.product(range(-2, 3), repeat=3):
            r = np.linalg.norm(atoms.positions[j] + np.array(n) @ atoms.cell[:] - atoms.positions[i])
            if r > 0:
                expected += 0.5 * textbook(atoms.numbers[i], atoms.numbers[j], r)
    assert energies(atoms).sum() == pytest.approx(expected, rel=1e-6)
