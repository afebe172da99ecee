"""PAN and the coordination it reads."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from potentials import build, tiny

from scalarfid import ScalarFidError
from scalarfid.data.graphs import build_graph
from scalarfid.sites import Coordination, CoordinationOptions, window


def coordination(atoms: Atoms, mean: float = 1.0, cutoff: float = 5.0, **options) -> torch.Tensor:
    """c_i/⟨c⟩ of each atom by the module PAN uses, and its edges."""
    elements = tuple(sorted(set(atoms.numbers)))
    counting = CoordinationOptions(elements=elements, mean=(mean,) * len(elements), **options)
    graph = build_graph(atoms, cutoff)
    centre, neighbour = graph.edge_index
    vectors = graph.pos[neighbour] - graph.pos[centre] + graph.unit_shifts @ graph.cell[0]
    species = torch.tensor([elements.index(z) for z in atoms.numbers])
    reduced = Coordination(counting, cutoff, 6.0)(vectors.norm(dim=1, keepdim=True), species, centre, neighbour)
    found = torch.zeros(len(atoms), reduced.shape[1], dtype=torch.float64)
    found[centre] = reduced + 1
    return found


@pytest.mark.parametrize(
    ("atoms", "expected", "within"),
    [
        (ase.build.bulk("Ag", "fcc", a=4.09, cubic=True), 12, 0.2),
        (ase.build.bulk("Si", "diamond", a=5.43), 4, 1e-12),
        (ase.build.molecule("CH4"), [4, 1, 1, 1, 1], 1e-12),
    ],
    ids=["Ag", "Si", "CH4"],
)
def test_perfect_structures_have_their_textbook_coordination(atoms, expected, within):
    assert np.abs(coordination(atoms)[:, 0].numpy() - expected).max() <= within


def test_counting_agrees_with_ases_neighbour_list_away_from_the_switch():
    atoms = ase.build.molecule("CH3CH2OH")
    i, j, d = neighbor_list("ijd", atoms, 5.0)
    bonded = d < 1.3 * (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])
    assert np.allclose(coordination(atoms)[:, 0], np.bincount(i[bonded], minlength=len(atoms)))


def test_the_mean_divides_with_a_floor_of_one():
    atoms = ase.build.bulk("Si", "diamond", a=5.43)
    assert coordination(atoms, mean=3.2)[0, 0] == pytest.approx(4 / 3.2)
    assert coordination(atoms, mean=0.1)[0, 0] == pytest.approx(4)


def test_both_adds_the_neighbours_value():
    atoms = ase.build.molecule("CO2")
    assert coordination(atoms, of="both").shape == (3, 2)
    assert coordination(atoms, of="centre").shape == (3, 1)


def test_the_cutoff_switch_counts_everything_by_the_envelope():
    dimer = Atoms("Si2", [[0, 0, 0], [0, 0, 4.0]])
    u = 0.8
    envelope = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
    assert not coordination(dimer).any()
    assert coordination(dimer, switch="cutoff")[0, 0] == pytest.approx(envelope, rel=1e-12)


def test_coordination_is_differentiable_and_smooth_to_second_order():
    counting = CoordinationOptions(elements=(14,), mean=(1.0,))
    module = Coordination(counting, 5.0, 6.0)
    d = 2 * covalent_radii[14]
    centre, neighbour = torch.tensor([0, 1]), torch.tensor([1, 0])

    def slopes(r: float) -> tuple[float, float]:
        x = torch.full((2, 1), r, dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(
            module(x, torch.zeros(2, dtype=torch.int64), centre, neighbour).sum(), x, create_graph=True
        )
        (second,) = torch.autograd.grad(first.sum(), x)
        return first.sum().item(), second.sum().item()

    assert slopes(1.3 * d)[0] < -1
    for end in (1.15 * d, 1.45 * d):
        for side in (-1e-7, 1e-7):
            assert np.abs(slopes(end + side)) == pytest.approx([0, 0], abs=1e-3)


def test_the_window_vanishes_with_the_last_edge_and_saturates():
    centre = torch.tensor([0, 0, 1])
    envelope = torch.tensor([[0.5], [0.5], [0.0]])
    assert window(envelope, centre, 3).squeeze(-1).tolist() == [0.5, 0.0, 0.0]


@pytest.mark.parametrize(("per", "groups"), [("edge", 1), ("path", 2), ("channel", 16)])
def test_there_is_one_amplitude_per_edge_path_or_channel(per, groups):
    overrides = (f"probe.pan.per={per}",) if per != "edge" else ()
    potential = tiny("mace", "pan", overrides=overrides)
    second = potential.backbone.sites.messages[1]
    assert second.paths == (8, 8), "MACE's second layer has two paths to l = 0"
    last = [p for n, p in potential.named_probe_parameters() if n.endswith("last.bias")][1]
    assert last.numel() == groups


@pytest.mark.parametrize(("override", "choices"), [("gate=relu", "tanh, sigmoid"), ("per=atom", "edge, path, channel")])
def test_an_unknown_choice_names_the_others(override, choices):
    with pytest.raises(ScalarFidError, match=choices):
        build("mace_tiny", "pan", overrides=(f"probe.pan.{override}",))


def test_without_coordination_the_gate_reads_zero_there():
    alone = tiny("mace", "pan", overrides=("probe.pan.coordination=false",))
    assert alone.backbone.edge_slot.coordination is None
    assert tiny("mace", "mlp_pan").backbone.edge_slot.coordination is None
    assert tiny("mace", "pan").backbone.edge_slot.coordination is not None
