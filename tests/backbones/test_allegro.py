"""Allegro equals upstream's AllegroModel, built here by hand."""

from __future__ import annotations

import checks
import pytest
import structures
import torch
from potentials import build, fresh, tiny

from scalarfid import ScalarFidError
from scalarfid.backbones.isolation import isolated

E0 = {"H": -13.5, "C": -38.0, "O": -75.0, "Si": -5.25}


def upstream(dtype: str, e0=(0.0,) * 4, scale: float = 1.0) -> torch.nn.Module:
    """The network of ``allegro_tiny`` over H, C, O, Si, from upstream's builder alone, with its derivatives."""
    with isolated(dtype=getattr(torch, dtype), seed=5):
        from allegro.model import AllegroModel
        from nequip.utils.global_state import set_global_state

        set_global_state()
        return AllegroModel(
            seed=5,
            model_dtype=dtype,
            type_names=list(E0),
            r_max=4.0,
            avg_num_neighbors=12.0,
            per_type_energy_scales=scale,
            per_type_energy_shifts=dict(zip(E0, e0, strict=True)),
            l_max=1,
            parity=True,
            radial_chemical_embed={
                "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
                "num_bessels": 8,
                "polynomial_cutoff_p": 6,
            },
            scalar_embed_mlp_hidden_layers_depth=1,
            scalar_embed_mlp_hidden_layers_width=16,
            num_layers=2,
            num_scalar_features=16,
            num_tensor_features=8,
            allegro_mlp_hidden_layers_depth=1,
            allegro_mlp_hidden_layers_width=16,
            readout_mlp_hidden_layers_depth=1,
            readout_mlp_hidden_layers_width=16,
        ).eval()


def run(model, graph, potential):
    """Evaluate by upstream's forward."""
    out = model(
        {
            "pos": graph.pos,
            "cell": graph.cell,
            "edge_index": graph.edge_index,
            "edge_cell_shift": graph.unit_shifts,
            "atom_types": potential.species(graph.z),
            "batch": graph.batch,
            "num_atoms": graph.ptr.diff(),
        }
    )
    return {
        "node_energy": out["atomic_energy"].detach().squeeze(-1),
        "energy": out["total_energy"].detach().squeeze(-1),
        "forces": out["forces"].detach(),
        "stress": out["stress"].detach(),
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_without_probe_it_is_upstream(dtype):
    checks.check_equals_upstream(tiny("allegro", dtype=dtype), upstream(dtype), run, structures.mixed())


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1.75), ("float32", 2.0)])
def test_with_energies_and_scale_it_is_upstream(dtype, scale):
    # In float32 a power of two: any other factor rounds every gradient once more.
    potential = build("allegro_tiny", dtype=dtype, e0=E0, scale=scale)
    checks.check_equals_upstream(potential, upstream(dtype), run, structures.mixed())


@pytest.mark.parametrize("probe", ["none", "pan+pgs"])
def test_native_states_load_and_come_back(probe):
    theirs = upstream("float64", e0=tuple(E0.values()), scale=0.5)
    potential = fresh("allegro", probe)
    checks.check_native_round_trip(potential, theirs)
    checks.check_equals_upstream(potential, upstream("float64"), run, structures.mixed())


def test_a_state_of_another_architecture_is_refused():
    other = tiny("nequip").native_state()
    with pytest.raises(ScalarFidError, match="does not fit"):
        fresh("allegro").load_native(other)
    larger = build("allegro_tiny", overrides=("backbone.num_tensor=16",)).native_state()
    with pytest.raises(ScalarFidError, match="does not fit"):
        fresh("allegro").load_native(larger)
