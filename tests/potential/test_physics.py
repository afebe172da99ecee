"""The physical contracts of every potential, with probes moved away from the identity."""

from __future__ import annotations

import checks
import pytest
import structures
import torch
from potentials import ELEMENTS, cases, options, tiny
from structures import LEAVING

from scalarfid import ScalarFidError
from scalarfid.data.graphs import build_graph
from scalarfid.sites import Coordination

every = pytest.mark.parametrize(("backbone", "probe"), cases())
FRAMES = {"molecule": structures.molecule, "crystal": structures.crystal}


@pytest.mark.parametrize("frame", FRAMES)
@every
def test_forces_are_the_derivative_of_the_energy(backbone, probe, frame):
    checks.check_forces(tiny(backbone, probe, perturbed=True), FRAMES[frame]())


@every
def test_stress_is_the_strain_derivative_of_the_energy(backbone, probe):
    checks.check_stress(tiny(backbone, probe, perturbed=True), structures.crystal())


def test_forces_and_stress_stay_exact_with_zbl():
    potential, without = (tiny("mace", "pan+pgs", perturbed=True, zbl=zbl) for zbl in (True, False))
    close = structures.crystal().copy()
    close.set_cell(close.cell[:] * 0.9, scale_atoms=True)
    close = structures.rattled(close, 0.02)
    energies = [checks.evaluate(p, close)["energy"] for p in (potential, without)]
    assert energies[0] > energies[1] + 1e-3, "ZBL does not act in this structure"
    checks.check_forces(potential, close)
    checks.check_stress(potential, close)


@pytest.mark.parametrize("frame", FRAMES)
@every
def test_rotation_and_reflection(backbone, probe, frame):
    checks.check_rotation(tiny(backbone, probe, perturbed=True), FRAMES[frame]())


@pytest.mark.parametrize("frame", FRAMES)
@every
def test_permutation_and_translation(backbone, probe, frame):
    potential = tiny(backbone, probe, perturbed=True)
    checks.check_permutation(potential, FRAMES[frame]())
    checks.check_translation(potential, FRAMES[frame]())


@pytest.mark.parametrize("leaving", LEAVING)
@every
def test_nothing_jumps_when_an_atom_leaves(backbone, probe, leaving):
    checks.check_cutoff(tiny(backbone, probe, perturbed=True), LEAVING[leaving])


@every
def test_a_lone_atom_keeps_its_bare_energy(backbone, probe):
    checks.check_isolated(tiny(backbone, probe, perturbed=True), tiny(backbone), ELEMENTS)


@every
def test_a_mixed_batch_equals_its_frames_one_by_one(backbone, probe):
    checks.check_batch(tiny(backbone, probe, perturbed=True), structures.mixed())


@pytest.mark.parametrize(("probe", "overrides"), options())
def test_every_option_keeps_the_contracts(probe, overrides):
    potential = tiny("mace", probe, perturbed=True, overrides=overrides)
    plain = tiny("mace", probe, overrides=overrides)
    checks.check_equal(checks.evaluate(plain, *structures.mixed()), checks.evaluate(tiny("mace"), *structures.mixed()))
    checks.check_forces(potential, structures.crystal())
    checks.check_rotation(potential, structures.molecule())
    checks.check_cutoff(potential, structures.leaving_pair)
    checks.check_isolated(potential, tiny("mace"), ELEMENTS)


@pytest.mark.parametrize("probe", ["none", "pan", "pgs", "pan+pgs", "mlp"])
def test_allegro_stays_strictly_local(probe):
    near, far = checks.far_gradient(tiny("allegro", probe, perturbed=True), structures.chain())
    assert near > 1e-4
    assert far == 0


@pytest.mark.parametrize("backbone", ["mace", "nequip"])
def test_message_passing_does_see_beyond_the_cutoff(backbone):
    _, far = checks.far_gradient(tiny(backbone, "pan+pgs", perturbed=True), structures.chain())
    assert far > 1e-6, "the locality test could not fail"


def test_counting_the_neighbours_coordination_breaks_allegros_locality():
    potential = tiny("allegro", "pan", perturbed=True, overrides=("model.coordination.of=both",))
    # Only a bonded chain has a coordination to pass on.
    bonded = structures.chain()
    bonded.positions *= 0.75
    assert checks.far_gradient(potential, bonded)[1] > 0


@pytest.mark.parametrize("backbone", ["mace", "nequip", "allegro"])
def test_a_detached_coordination_is_seen_by_the_finite_difference(backbone, monkeypatch):
    forward = Coordination.forward
    monkeypatch.setattr(Coordination, "forward", lambda *args: forward(*args).detach())
    with pytest.raises(AssertionError, match="forces differ from finite differences"):
        checks.check_forces(tiny(backbone, "pan", perturbed=True), structures.crystal(), tolerance=1e-6)


@pytest.mark.parametrize("backbone", ["mace", "nequip", "allegro"])
def test_stress_is_zero_unless_all_three_directions_are_periodic(backbone):
    stress = checks.evaluate(tiny(backbone), *structures.mixed())["stress"]
    assert stress.shape == (4, 3, 3)
    assert [bool(s.any()) for s in stress] == [False, True, False, False]
    assert torch.isfinite(stress).all()


def test_outputs_are_detached_float64_and_shaped_as_documented():
    graph = checks.batch([structures.molecule(), structures.crystal()], structures.CUTOFF)
    potential = tiny("mace", "pan+pgs", dtype="float32")
    with torch.no_grad():
        out = potential.eval()(graph, stress=True)
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        "energy": (2,), "node_energy": (13,), "forces": (13, 3), "stress": (2, 3, 3)
    }  # fmt: skip
    assert all(v.dtype == torch.float64 and not v.requires_grad for v in out.values())
    assert torch.allclose(out["energy"][0], out["node_energy"][:9].sum(), rtol=1e-6)
    assert set(potential(graph, forces=False)) == {"energy", "node_energy"}


def test_e0_is_added_per_element_and_scale_multiplies():
    e0 = {"H": -13.5, "C": -1027.0, "O": -2036.0, "Si": -100.0}
    plain, full = tiny("mace"), tiny("mace", e0=_Frozen(e0), scale=2.5)
    a, b = (checks.evaluate(p, structures.molecule()) for p in (plain, full))
    symbols = structures.molecule().get_chemical_symbols()
    assert float(b["energy"]) == pytest.approx(sum(e0[s] for s in symbols) + 2.5 * float(a["energy"]), rel=1e-14)
    assert torch.allclose(b["forces"], 2.5 * a["forces"], rtol=1e-12)


class _Frozen(dict):
    """A table that can be an argument of the cached builder."""

    def __hash__(self):
        return hash(tuple(self.items()))


@pytest.mark.parametrize("stress", [False, True])
def test_an_unknown_element_is_named(stress):
    gold = structures.lone("Au")
    with pytest.raises(ScalarFidError, match="Element Au is not one this potential was built for"):
        tiny("mace")(build_graph(gold, structures.CUTOFF), stress=stress)
