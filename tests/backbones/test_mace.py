"""MACE equals upstream's ScaleShiftMACE, built here by hand."""

from __future__ import annotations

import checks
import numpy as np
import pytest
import structures
import torch
from e3nn import o3
from potentials import build, fresh, tiny

from scalarfid import ScalarFidError
from scalarfid.backbones.isolation import isolated

E0 = {"H": -13.5, "C": -38.0, "O": -75.0, "Si": -5.25}


def upstream(dtype: str, e0=(0.0,) * 4, scale: float = 1.0) -> torch.nn.Module:
    """The network of ``mace_tiny`` over H, C, O, Si, from upstream's class alone."""
    with isolated(dtype=getattr(torch, dtype), seed=5):
        return scale_shift_mace(np.array(e0), scale).to(getattr(torch, dtype))


def scale_shift_mace(e0, scale):
    from mace import modules

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=1,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=4,
        hidden_irreps=o3.Irreps("8x0e + 8x1o"),
        MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=e0,
        avg_num_neighbors=12.0,
        atomic_numbers=[1, 6, 8, 14],
        correlation=2,
        gate=torch.nn.functional.silu,
        radial_MLP=[16],
        atomic_inter_scale=scale,
        atomic_inter_shift=0.0,
    )


def run(model, graph, potential):
    """Evaluate by upstream's forward."""
    dtype = model.r_max.dtype
    cell = graph.cell.to(dtype)
    unit_shifts = graph.unit_shifts.to(dtype)
    out = model(
        {
            "positions": graph.pos.to(dtype),
            "node_attrs": torch.nn.functional.one_hot(potential.species(graph.z), 4).to(dtype),
            "edge_index": graph.edge_index,
            "unit_shifts": unit_shifts,
            "shifts": torch.einsum("be,bec->bc", unit_shifts, cell[graph.batch[graph.edge_index[0]]]),
            "cell": cell.reshape(-1, 3),
            "batch": graph.batch,
            "ptr": graph.ptr,
            "head": torch.zeros(graph.num_graphs, dtype=torch.int64),
        },
        compute_stress=True,
    )
    return {key: out[key].detach() for key in ("node_energy", "energy", "forces", "stress")}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_without_probe_it_is_upstream(dtype):
    checks.check_equals_upstream(tiny("mace", dtype=dtype), upstream(dtype), run, structures.mixed())


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1.75), ("float32", 2.0)])
def test_with_energies_and_scale_it_is_upstream(dtype, scale):
    # In float32 a power of two: any other factor rounds every gradient once more.
    potential = build("mace_tiny", dtype=dtype, e0=E0, scale=scale)
    checks.check_equals_upstream(potential, upstream(dtype), run, structures.mixed())


@pytest.mark.parametrize("probe", ["none", "pan+pgs"])
def test_native_states_load_and_come_back(probe):
    theirs = upstream("float64", e0=tuple(E0.values()), scale=0.5)
    potential = fresh("mace", probe)
    checks.check_native_round_trip(potential, theirs)
    checks.check_equals_upstream(potential, upstream("float64"), run, structures.mixed())


def test_a_checkpoint_of_the_upstream_trainer_loads_whose_e0_have_a_row_per_head():
    state = upstream("float64", e0=tuple(E0.values()), scale=0.5).state_dict()
    potential = fresh("mace")
    potential.load_native({**state, "atomic_energies_fn.atomic_energies": torch.tensor([list(E0.values())])})
    assert potential.e0.tolist() == list(E0.values())
    assert float(potential.scale) == 0.5


def test_a_state_of_another_architecture_is_refused():
    other = tiny("nequip").native_state()
    with pytest.raises(ScalarFidError, match="does not fit"):
        fresh("mace").load_native(other)
    larger = build("mace_tiny", overrides=("backbone.channels=16",)).native_state()
    with pytest.raises(ScalarFidError, match="does not fit"):
        fresh("mace").load_native(larger)
