"""Compiled and padded, a potential computes what it computes without."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from ase.build import bulk, molecule
from checks import batch
from potentials import BACKBONES, tiny
from torch._inductor import config as inductor

from scalarfid.calculator import ScalarFidCalculator
from scalarfid.potential.compiled import (
    FIELDS,
    Compiled,
    agreeing,
    difference,
    holding,
    padded,
    padded_sizes,
    recurring,
    roomy,
    rounded,
    traced,
)


def graphs(*names, seed=0):
    frames = [bulk("Si") * (2, 1, 1) if name == "Si" else molecule(name) for name in names]
    for i, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed + i)
    return batch(frames, 4.0)


def gradients(call, graph, potential):
    out = call(graph, stress=True, create_graph=True)
    loss = out["energy"].square().sum() + out["forces"].square().sum() + out["stress"].square().sum()
    return torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True, materialize_grads=True)


def test_sizes_grow_in_steps_and_hold_what_is_needed():
    sizes = [rounded(n) for n in range(1, 3000)]
    assert all(n <= size <= max(n + 8, 1.25 * n) for n, size in enumerate(sizes, 1))
    assert len(set(sizes)) < 30
    assert padded_sizes((45, 360, 5)) == (rounded(47), rounded(360), rounded(6))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_atoms_edges_and_frames_that_pad_a_batch_add_nothing(backbone):
    potential, graph = tiny(backbone, "pan+pgs", perturbed=True), graphs("H2O", "Si")
    n, b = graph.num_nodes, graph.num_graphs
    species, *tensors = padded(graph, potential.species(graph.z), (n + 9, graph.num_edges + 40, b + 3), 6.0)
    filled = SimpleNamespace(**dict(zip(FIELDS, tensors, strict=True)))
    out = potential.derived(filled, species, stress=True, forces=True, create_graph=False)
    expected = potential(graph, stress=True)
    found = {key: value[: n if key in ("forces", "node_energy") else b] for key, value in out.items()}
    assert difference(found, expected) < 1e-12


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_is_traced_has_the_gradients_of_the_potential(backbone):
    # Perturbed: at its start a probe's last factor is zero, and with it the gradients of all before it.
    potential, graph = tiny(backbone, "pan+pgs", perturbed=True), graphs("H2O", "CH4")
    n, b = graph.num_nodes, graph.num_graphs
    tensors = padded(graph, potential.species(graph.z), (n + 2, graph.num_edges, b + 1), 6.0)
    operations = traced(potential, tensors, stress=True, create_graph=True)

    def call(*_, **options):
        out = operations(tensors, list(potential.parameters()))
        return {key: value[: n if key in ("forces", "node_energy") else b] for key, value in out.items()}

    for found, expected in zip(gradients(call, graph, potential), gradients(potential, graph, potential), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_a_difference_is_the_largest_of_anything_and_nan_is_none_that_agrees():
    expected = {"node_energy": torch.tensor([2.0, 4.0]), "forces": torch.tensor([0.5]), "energy": torch.tensor([6.0])}
    found = {**expected, "node_energy": torch.tensor([2.0, 4.4]), "energy": torch.tensor([9.0])}
    assert difference(found, expected) == pytest.approx(0.1)
    assert difference({**expected, "forces": torch.tensor([0.7])}, expected) == pytest.approx(0.2)
    apart = difference({**expected, "forces": torch.tensor([torch.nan])}, expected)
    assert not agreeing([apart, apart], 1.0) <= 1.0


def test_what_cancels_at_one_draw_of_the_parameters_is_asked_at_another():
    asked = iter([6e-4, 1e-6, 2e-6])
    assert agreeing(asked, 5e-5) == 1e-6
    assert next(asked) == 2e-6
    assert agreeing([6e-4, 7e-4], 5e-5) == 7e-4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_compiled_it_gives_the_same_outputs_and_gradients_and_serves_smaller_batches(backbone, caplog):
    potential = tiny(backbone, "pan+pgs", perturbed=True)
    compiled = Compiled(potential)
    for names in (("H2O", "Si", "CH4"), ("CH4", "Si"), ("H2O", "Si", "CH4")):
        graph = graphs(*names, seed=len(names))
        for a, b in zip(gradients(compiled, graph, potential), gradients(potential, graph, potential), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    assert compiled.works
    assert len(compiled._functions) == 1  # two frames are padded to the size of three
    assert_conservative(compiled, graph)


def assert_conservative(compiled, graph):
    """The derivative of compiled energies along a direction is that of the compiled forces."""
    direction = torch.randn(graph.pos.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start, step, energies = graph.pos.clone(), 1e-3, []
    slope = -(compiled(graph, stress=True, create_graph=True)["forces"] * direction).sum()
    for k, weight in ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12)):
        graph.pos = start + k * step * direction
        energies.append(weight * compiled(graph, stress=True, create_graph=True)["energy"].sum())
    assert float(sum(energies) / step) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_compiled_calculator_serves_a_potential_that_can_be_trained_further(backbone, caplog):
    potential, atoms = tiny(backbone, "pan+pgs", perturbed=True, dtype="float64"), molecule("CH3CH2OH")
    forces = [ScalarFidCalculator(potential, compile=quick).get_forces(atoms) for quick in (False, True)]
    assert "Not compiled" not in caplog.text
    assert forces[1] == pytest.approx(forces[0], abs=1e-9)


CACHED = """
import json
from ase.build import molecule
from potentials import tiny
from scalarfid.calculator import ScalarFidCalculator
from torch._dynamo.utils import counters
ScalarFidCalculator(tiny("nequip", "pan+pgs"), compile=True).get_forces(molecule("CH3CH2OH"))
print(json.dumps(counters["aot_autograd"]))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_another_process_finds_what_was_compiled(tmp_path):
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-c", CACHED]
    for missed in (True, False):
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        assert bool(found.get("autograd_cache_miss")) == missed
        assert bool(found.get("autograd_cache_hit")) != missed


@pytest.mark.slow
def test_without_a_compiler_it_says_so_once_and_goes_on(caplog):
    potential, graph = tiny("nequip"), graphs("H2O")
    compiled = Compiled(potential)
    nowhere = inductor.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    with nowhere, caplog.at_level(logging.WARNING, logger="scalarfid"):
        for _ in range(2):
            assert difference(compiled(graph), potential(graph)) == 0
    (line,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert line.startswith("Not compiled, it goes on without: ")
    assert len(line.splitlines()) == 1


def test_sizes_that_hardly_come_are_not_worth_compiling():
    rare, often = (6, 20, 1), (60, 400, 5)
    assert recurring([often] * 96 + [rare] * 4) == {padded_sizes(often)}
    assert recurring([often] * 95 + [rare] * 5) == {padded_sizes(often), padded_sizes(rare)}
    potential, graph = tiny("mace"), graphs("H2O")
    assert difference(Compiled(potential, [often])(graph), potential(graph)) == 0  # of no such size: not compiled


def test_a_batch_is_padded_to_the_smallest_compiled_size_if_that_wastes_little():
    small, large = padded_sizes((60, 400, 5)), padded_sizes((75, 500, 5))
    assert holding({large, small}, (60, 400, 5)) == holding({large, small}, (50, 330, 4)) == small
    assert holding({large}, (60, 400, 5)) == large
    assert holding({large, small}, (60, 100, 5)) is None  # four times its edges
    assert holding({large, small}, (200, 400, 5)) is None  # more atoms


def test_a_size_for_moving_atoms_is_tight_and_has_room_for_a_few_edges_more():
    for counts in ((1, 0, 1), (2, 2, 1), (9, 72, 1), (216, 6302, 1), (72, 600, 8)):
        atoms, edges, frames = sizes = roomy(counts)
        assert holding({sizes}, counts) == sizes
        assert holding({sizes}, (counts[0], int(1.05 * counts[1]), counts[2])) == sizes
        assert atoms < counts[0] + 2 + 8
        assert counts[1] < edges < 1.05**2 * counts[1] + 9
        assert frames == counts[2] + 1


def test_moving_atoms_of_different_runs_meet_in_few_sizes():
    assert len({roomy((64, edges, 1)) for edges in range(1150, 1720)}) <= 10


def test_it_says_how_many_batches_it_compiles_for_and_that_there_are_none(caplog):
    potential, often = tiny("mace"), (60, 400, 5)
    with caplog.at_level(logging.INFO, logger="scalarfid"):
        assert Compiled(potential, [often] * 24 + [(6, 20, 1)]).works
        assert not Compiled(potential, [(10 * 2**n, 80 * 2**n, 2**n) for n in range(30)]).works
    said, warned = (record.getMessage() for record in caplog.records)
    assert said == "Compiling 1 sizes, which hold 96 % of the batches."
    assert warned.startswith("Not compiled, it goes on without: hardly any two batches have one size")
