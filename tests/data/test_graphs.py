"""Graphs against ASE's neighbour list, which is slow, simple and another program."""

from __future__ import annotations

import numpy as np
import pytest
import structures
import torch
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list
from torch_geometric.data import Batch

from scalarfid.data import build_graph, joined
from scalarfid.data.statistics import atomic_coordination, edge_lengths, mean_coordination
from scalarfid.errors import ScalarFidError


def rattled(atoms: Atoms, seed: int = 0) -> Atoms:
    atoms = atoms.copy()
    atoms.positions += np.random.default_rng(seed).normal(0, 0.1, atoms.positions.shape)
    return atoms


def unwrapped() -> Atoms:
    atoms = rattled(bulk("Si", cubic=True))
    atoms.positions[::2] += 3 * atoms.cell[0] - 2 * atoms.cell[2]
    return atoms


def left_handed() -> Atoms:
    atoms = rattled(bulk("NaCl", "rocksalt", a=5.6, cubic=True))
    atoms.set_cell(atoms.cell[[1, 0, 2]])
    return atoms


def wire() -> Atoms:
    atoms = Atoms("C4", positions=np.random.default_rng(1).normal(0, 1.5, (4, 3)), pbc=[False, True, False])
    atoms.set_cell([[0, 0, 0], [0.3, 3.1, 0.2], [0, 0, 0]])
    return atoms


def slab_without_vacuum_vector() -> Atoms:
    atoms = rattled(graphene())
    atoms.positions[:, 2] += [0.0, 40.0]
    return atoms


STRUCTURES = {
    "molecule": rattled(molecule("CH3CH2OH")),
    "molecule far from the origin": Atoms("HF", positions=[[500, -300, 7], [500.9, -300, 7]]),
    "molecule in a box that is not periodic": Atoms("HF", positions=[[9.9, 0, 0], [0.1, 0, 0]], cell=[10, 10, 10]),
    "one-atom cell that sees its own images": bulk("Ag"),
    "skewed primitive cell": rattled(bulk("Si")),
    "cell with atoms outside": unwrapped(),
    "left-handed cell": left_handed(),
    "slab": rattled(fcc111("Cu", (2, 2, 3), vacuum=4.0)),
    "sheet with no third vector": slab_without_vacuum_vector(),
    "wire": wire(),
    "single atom": Atoms("H"),
}


def by_ase(atoms: Atoms, cutoff: float) -> list[tuple]:
    i, j, S, D = neighbor_list("ijSD", atoms, cutoff)
    return sorted((a, b, *s, *np.round(d, 8) + 0.0) for a, b, s, d in zip(i, j, S, D, strict=True))


@pytest.mark.parametrize("cutoff", [3.0, 6.0])
@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_and_vectors_are_those_of_ase(name, cutoff):
    atoms = STRUCTURES[name]
    graph = build_graph(atoms, cutoff)
    i, j = graph.edge_index
    vectors = graph.pos[j] - graph.pos[i] + graph.unit_shifts @ graph.cell[0]
    rows = zip(i.tolist(), j.tolist(), graph.unit_shifts.numpy(), vectors.numpy(), strict=True)
    ours = sorted((a, b, *s, *np.round(d, 8) + 0.0) for a, b, s, d in rows)
    expected = by_ase(atoms, cutoff)
    assert len(ours) == len(expected)
    np.testing.assert_allclose(np.array(ours), np.array(expected), atol=2e-8)


def test_a_single_atom_has_a_graph_without_edges_that_batches():
    batch = Batch.from_data_list([build_graph(Atoms("H"), 5.0), build_graph(molecule("H2O"), 5.0)])
    assert batch.num_graphs == 2
    assert batch.edge_index.min() == 1
    assert batch.cell.shape == (2, 3, 3)
    assert batch.ptr.tolist() == [0, 1, 4]


def test_types_shapes_and_masks_of_an_unlabelled_molecule():
    graph = build_graph(molecule("H2O"), 5.0)
    floats = ("pos", "cell", "unit_shifts", "energy", "forces", "stress")
    assert {graph[name].dtype for name in floats} == {torch.float64}
    assert graph.z.dtype == graph.edge_index.dtype == graph.frame.dtype == torch.int64
    assert not any(graph[f"has_{label}"] for label in ("energy", "forces", "stress"))
    assert graph.cell.abs().max() == 0
    assert graph.stress.shape == (1, 3, 3)


def test_labels_are_taken_from_the_calculator_when_no_reference_labels_are_there():
    atoms = bulk("Cu")
    voigt = np.array([1, 2, 3, 4, 5, 6]) * 1e-3
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=np.zeros((1, 3)), stress=voigt)
    graph = build_graph(atoms, 4.0)
    assert graph.energy.item() == -3.0
    np.testing.assert_array_equal(graph.stress[0], 1e-3 * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]))
    atoms.info["REF_energy"] = -4.0
    assert build_graph(atoms, 4.0).energy.item() == -4.0


def test_labels_of_a_calculator_are_not_used_once_the_atoms_have_moved():
    atoms = bulk("Cu")
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0)
    atoms.positions += 0.1
    assert not build_graph(atoms, 4.0).has_energy


def test_a_slab_has_no_stress():
    atoms = fcc111("Cu", (1, 1, 3), vacuum=4.0)
    atoms.info["REF_stress"] = np.eye(3)
    assert not build_graph(atoms, 4.0).has_stress


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Cu", pbc=True), "has no volume"),
        (
            Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1]], cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True),
            "has no volume",
        ),
        (Atoms("CuH", positions=[[0, 0, 0], [0, 0, 0.01]]), "0.01 Å apart"),
        (Atoms("CuH", positions=[[0, 0, 0], [0, 0, np.nan]]), "positions with NaN"),
        (Atoms("CuH", positions=[[0, 0, 0], [0, 0, np.inf]]), "positions with NaN"),
        (Atoms("Cu", cell=[3, 3, np.nan], pbc=True), "cell with NaN"),
        (Atoms(), "has no atoms"),
    ],
)
def test_structures_that_cannot_be(atoms, message):
    with pytest.raises(ScalarFidError, match=message):
        build_graph(atoms, 4.0)


@pytest.mark.parametrize("cutoff", [0, -4.0, np.nan, np.inf])
def test_a_cutoff_that_is_no_distance_is_refused(cutoff):
    with pytest.raises(ScalarFidError, match=r"cutoff=.* must be positive"):
        build_graph(molecule("H2O"), cutoff)


@pytest.mark.parametrize(("symbol", "expected", "tolerance"), [("Ag", 12, 0.2), ("Si", 4, 1e-12)])
def test_coordination_of_perfect_crystals(symbol, expected, tolerance):
    graph = build_graph(bulk(symbol, cubic=True), 6.0)
    z = int(graph.z[0])
    assert mean_coordination([graph], [z], 6.0)[z] == pytest.approx(expected, abs=tolerance)
    assert mean_coordination([graph], [z, 92], 6.0)[92] == 1.0


def test_coordination_with_the_envelope_is_a_sum_over_all_neighbours():
    graph = build_graph(rattled(bulk("Cu", cubic=True)), 5.0)
    u = edge_lengths(graph).numpy() / 5.0
    envelope = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
    assert mean_coordination([graph], [29], 5.0, "cutoff")[29] == pytest.approx(envelope.sum() / 4, rel=1e-12)


@pytest.mark.parametrize("cutoff", [3.0, 5.0])
@pytest.mark.parametrize("frame", structures.mixed(), ids=["molecule", "crystal", "lone", "slab"])
def test_coordination_of_every_atom_agrees_with_ases_neighbour_list(frame, cutoff):
    by_hand, _ = structures.surroundings_by_hand(frame, cutoff)
    np.testing.assert_allclose(atomic_coordination(build_graph(frame, cutoff), cutoff), by_hand, atol=1e-12)


def test_a_switch_that_is_not_there_is_named():
    with pytest.raises(ScalarFidError, match="'bonds' is not a choice; take covalent or cutoff"):
        atomic_coordination(build_graph(bulk("Cu"), 4.0), 4.0, "bonds")


def test_joining_gives_what_pyg_gives():
    graphs = [build_graph(atoms, 4.0) for atoms in STRUCTURES.values()]
    ours, theirs = joined(graphs), Batch.from_data_list(graphs)
    assert set(ours.keys()) == set(theirs.keys())
    assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in theirs.keys())  # noqa: SIM118 - a batch is no mapping
    assert (ours.num_graphs, ours.num_nodes, ours.num_edges) == (len(graphs), theirs.num_nodes, theirs.num_edges)
