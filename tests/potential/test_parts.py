"""A local backbone takes a large graph in parts, and nobody can tell."""

from __future__ import annotations

import pytest
import structures
import torch
from potentials import tiny

from scalarfid.data import build_graph, joined
from scalarfid.potential import core


def test_parts_split_no_centre_and_leave_no_edge_out(monkeypatch):
    monkeypatch.setattr(core, "PART", 10)
    centres = torch.tensor([3, 0, 0, 1, 1, 1, 3, 5] * 6)
    found = list(core.parts(centres, 7))
    assert sorted(torch.cat(found).tolist()) == list(range(len(centres)))
    of_part = [set(centres[edges].tolist()) for edges in found]
    assert len(of_part) > 1
    assert sum(map(len, of_part)) == len(set.union(*of_part))


@pytest.mark.parametrize("probe", ["none", "pan+pgs", "mlp"])
@pytest.mark.parametrize("stress", [False, True])
def test_allegro_in_parts_is_allegro(probe, stress, monkeypatch):
    potential = tiny("allegro", probe, perturbed=True, dtype="float64")
    graph = joined([build_graph(atoms, potential.cutoff) for atoms in structures.mixed()])
    whole = potential(graph, stress=stress)
    taken = []
    monkeypatch.setattr(core, "PART", 30)
    monkeypatch.setattr(core, "parts", lambda *given, split=core.parts: taken.extend(split(*given)) or taken)
    in_parts = potential(graph, stress=stress)
    assert len(taken) > 3
    assert in_parts.keys() == whole.keys()
    for key, values in whole.items():
        torch.testing.assert_close(in_parts[key], values, rtol=1e-12, atol=1e-12)
        assert not in_parts[key].requires_grad


@pytest.mark.parametrize("backbone", ["mace", "nequip"])
def test_a_backbone_that_passes_messages_is_taken_whole(backbone, monkeypatch):
    potential = tiny(backbone)
    monkeypatch.setattr(core, "PART", 1)
    monkeypatch.setattr(potential, "_in_parts", None)
    assert potential(build_graph(structures.crystal(), potential.cutoff))["forces"].any()
