"""Force errors by coordination, nearest neighbour and element, against ASE's neighbour lists and numpy."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.cluster import Octahedron
from ase.data import chemical_symbols
from structures import surroundings_by_hand

from scalarfid.data import build_graph
from scalarfid.training.binned import BINS, BinnedErrors, surroundings
from scalarfid.training.metrics import errors_of

CUTOFF = 5.0


def rattled(atoms):
    atoms.rattle(0.05, seed=2)
    return atoms


FRAMES = {
    "Ag crystal": ase.build.bulk("Ag", "fcc", a=4.09, cubic=True),
    "Ag cluster": rattled(Octahedron("Ag", 4, cutoff=1)),
    "Si": rattled(ase.build.bulk("Si", "diamond", a=5.43, cubic=True)),
    "ethanol": ase.build.molecule("CH3CH2OH"),
}


def labelled(atoms, seed=0, *, forces=True):
    """A graph whose reference forces are seeded noise, so that a potential of zeros is wrong in every atom."""
    atoms = atoms.copy()
    atoms.info["REF_energy"] = 0.0
    if forces:
        noise = np.random.default_rng(seed).normal(size=(len(atoms), 3))
        atoms.arrays["REF_forces"] = noise * np.linspace(0.5, 2, len(atoms))[:, None]
    return build_graph(atoms, CUTOFF)


def nothing(batch, *, stress=False):
    return {"energy": torch.zeros_like(batch.energy), "forces": torch.zeros_like(batch.forces)}


def measured(graphs, **options):
    """Overall errors and the binned ones."""
    binned = BinnedErrors(CUTOFF)
    return errors_of(nothing, graphs, binned=binned, **options), binned.compute()


def lower_end(nearest):
    """Of the bin of 0.1 Å that holds each nearest neighbour."""
    return np.floor(nearest * 10) / 10


@pytest.mark.parametrize("name", FRAMES)
def test_surroundings_agree_with_ases_neighbour_list(name):
    atoms = FRAMES[name]
    coordination, nearest = surroundings_by_hand(atoms, CUTOFF)
    table = surroundings(build_graph(atoms, CUTOFF), CUTOFF)
    assert table["coordination"].tolist() == np.rint(coordination).tolist()
    assert table["nearest_neighbour"].tolist() == pytest.approx(lower_end(nearest))
    assert table["element"].tolist() == atoms.get_chemical_symbols()


@pytest.mark.parametrize(
    ("name", "coordination", "nearest"), [("Ag crystal", {12}, {2.8}), ("ethanol", {1, 2, 4}, {0.9, 1.0})]
)
def test_perfect_structures_are_in_the_bins_of_the_textbook(name, coordination, nearest):
    table = surroundings(build_graph(FRAMES[name], CUTOFF), CUTOFF)
    assert set(table["coordination"]) == coordination
    assert set(table["nearest_neighbour"]) == nearest


def test_surface_atoms_of_a_cluster_have_fewer_neighbours_than_its_inside():
    cluster = Octahedron("Ag", 4, cutoff=1)  # 38 atoms: 24 at the corners, 8 on the faces, 6 inside
    table = surroundings(build_graph(cluster, CUTOFF), CUTOFF)
    assert table["coordination"].value_counts().to_dict() == {6: 24, 9: 8, 12: 6}


@pytest.mark.parametrize(("distance", "lower"), [(1.1, 1.1), (1.0999, 1.0), (2.9, 2.9), (0.3, 0.3), (1.1999, 1.1)])
def test_a_bin_carries_its_lower_end_and_holds_it(distance, lower):
    table = surroundings(build_graph(Atoms("CO", [[0, 0, 0], [0, 0, distance]]), CUTOFF), CUTOFF)
    assert table["nearest_neighbour"].tolist() == [lower, lower]


@pytest.mark.parametrize("batch_edges", [1, 200, 4000])
def test_bins_are_means_over_their_atoms_and_add_up_to_the_whole(batch_edges):
    atoms = list(FRAMES.values())
    graphs = [labelled(frame, seed) for seed, frame in enumerate(atoms)]
    overall, binned = measured(graphs, batch_edges=batch_edges)
    errors = np.concatenate([graph.forces.numpy() for graph in graphs])
    by_hand = [surroundings_by_hand(frame, CUTOFF) for frame in atoms]
    keys = {
        "coordination": np.rint(np.concatenate([coordination for coordination, _ in by_hand])),
        "nearest_neighbour": lower_end(np.concatenate([nearest for _, nearest in by_hand])),
        "element": np.concatenate([frame.get_chemical_symbols() for frame in atoms]),
    }
    assert tuple(binned) == BINS
    for by, rows in binned.items():
        assert [row["bin"] for row in rows] == pytest.approx(np.unique(keys[by]).tolist())
        for row, value in zip(rows, np.unique(keys[by]), strict=True):
            inside = errors[keys[by] == value]
            assert row["atoms"] == len(inside)
            assert row["forces_mae"] == pytest.approx(np.abs(inside).mean(), rel=1e-12)
            assert row["forces_rmse"] == pytest.approx(np.sqrt((inside**2).mean()), rel=1e-12)
        atoms_of, mae, rmse = (np.array([row[k] for row in rows]) for k in ("atoms", "forces_mae", "forces_rmse"))
        assert np.average(mae, weights=atoms_of) == pytest.approx(overall["forces_mae"], rel=1e-12)
        assert np.average(rmse**2, weights=atoms_of) == pytest.approx(overall["forces_rmse"] ** 2, rel=1e-12)


def test_frames_without_forces_are_passed_over():
    with_forces = [labelled(FRAMES["ethanol"], 1), labelled(FRAMES["Si"], 2)]
    without = [labelled(FRAMES["Ag crystal"], forces=False), labelled(FRAMES["ethanol"], forces=False)]
    mixed = [without[0], with_forces[0], without[1], with_forces[1]]
    assert measured(mixed, batch_edges=200)[1] == measured(with_forces)[1]
    assert measured(without)[1] == {}


def test_an_atom_without_a_neighbour_has_coordination_zero_and_no_nearest_neighbour():
    apart = Atoms("OHe", [[0, 0, 0], [0, 0, CUTOFF + 1]])
    graphs = [labelled(Atoms("O"), 3), labelled(apart, 4), labelled(FRAMES["ethanol"], 5)]
    overall, binned = measured(graphs)
    assert binned["coordination"][0]["bin"] == 0
    assert binned["coordination"][0]["atoms"] == 3
    assert sum(row["atoms"] for row in binned["nearest_neighbour"]) == len(FRAMES["ethanol"])
    alone = np.concatenate([graph.forces.numpy() for graph in graphs[:2]])
    assert binned["coordination"][0]["forces_mae"] == pytest.approx(np.abs(alone).mean(), rel=1e-12)
    elements = {row["bin"]: row["atoms"] for row in binned["element"]}
    assert elements == {"C": 2, "H": 6, "He": 1, "O": 3}
    assert overall["forces_mae"] > 0


def test_an_atom_beside_a_bonded_pair_is_alone_only_if_it_is_beyond_the_cutoff():
    table = surroundings(build_graph(Atoms("COHe", [[0, 0, 0], [0, 0, 1.13], [0, 0, 4.2]]), 4.0), 4.0)
    assert table["coordination"].tolist() == [1, 1, 0]
    assert table["nearest_neighbour"].tolist() == [1.1, 1.1, 3.0]
    assert [chemical_symbols.index(symbol) for symbol in table["element"]] == [6, 8, 2]
