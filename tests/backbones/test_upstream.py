"""Every backbone equals its upstream class, built by hand, and takes and gives its weights under upstream's names."""

from __future__ import annotations

import checks
import pytest
import structures
import torch
from backbones.upstream import E0, RUNS, build_upstream
from potentials import BACKBONES, build, fresh, tiny

from scalarfid import ScalarFidError

OTHER = {"mace": "nequip", "nequip": "mace", "allegro": "nequip"}
LARGER = {"mace": "channels", "nequip": "channels", "allegro": "num_tensor"}

every_backbone = pytest.mark.parametrize("name", BACKBONES)


@every_backbone
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_without_probe_it_is_upstream(name, dtype):
    upstream = build_upstream(name, dtype)
    checks.check_equals_upstream(tiny(name, dtype=dtype), upstream, RUNS[name], structures.mixed())


@every_backbone
@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1.75), ("float32", 2.0)])
def test_with_energies_and_scale_it_is_upstream(name, dtype, scale):
    # In float32 a power of two: any other factor rounds every gradient once more.
    potential = build(f"{name}_tiny", dtype=dtype, e0=E0, scale=scale)
    checks.check_equals_upstream(potential, build_upstream(name, dtype), RUNS[name], structures.mixed())


@every_backbone
@pytest.mark.parametrize("probe", ["none", "pan+pgs"])
def test_native_states_load_and_come_back(name, probe):
    theirs = build_upstream(name, "float64", e0=tuple(E0.values()), scale=0.5)
    potential = fresh(name, probe)
    checks.check_native_round_trip(potential, theirs)
    checks.check_equals_upstream(potential, build_upstream(name, "float64"), RUNS[name], structures.mixed())


@every_backbone
def test_a_state_of_another_architecture_is_refused(name):
    other = tiny(OTHER[name]).native_state()
    with pytest.raises(ScalarFidError, match="does not fit"):
        fresh(name).load_native(other)
    larger = build(f"{name}_tiny", overrides=(f"backbone.{LARGER[name]}=16",)).native_state()
    with pytest.raises(ScalarFidError, match=r"does not fit this \w+: size mismatch for .* \(and \d+ more\)$"):
        fresh(name).load_native(larger)


def test_a_state_with_other_keys_is_refused_in_a_short_line():
    with pytest.raises(ScalarFidError, match=r"keys missing: \d+ \(.*, …\)\.$") as caught:
        fresh("mace").load_native({})
    assert len(str(caught.value)) < 300
    state = tiny("mace").native_state()
    state["more"] = state.pop("scale_shift.shift")
    with pytest.raises(ScalarFidError, match=r"keys missing: 1 \(scale_shift\.shift\), unknown: 1 \(more\)\.$"):
        fresh("mace").load_native(state)


def test_a_checkpoint_of_maces_trainer_loads_whose_e0_have_a_row_per_head():
    state = build_upstream("mace", "float64", e0=tuple(E0.values()), scale=0.5).state_dict()
    potential = fresh("mace")
    potential.load_native({**state, "atomic_energies_fn.atomic_energies": torch.tensor([list(E0.values())])})
    assert potential.e0.tolist() == list(E0.values())
    assert float(potential.scale) == 0.5
