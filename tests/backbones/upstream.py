"""The networks of the ``_tiny`` presets over H, C, O, Si from the upstream packages alone, and their own forwards."""

from __future__ import annotations

import numpy as np
import torch

from scalarfid.backbones.isolation import isolated

E0 = {"H": -13.5, "C": -38.0, "O": -75.0, "Si": -5.25}


def build_upstream(name: str, dtype: str, e0=(0.0,) * 4, scale: float = 1.0, neighbours=12.0) -> torch.nn.Module:
    """The network of ``<name>_tiny`` with these energies, by upstream's class or builder."""
    with isolated(dtype=getattr(torch, dtype), seed=5):
        return BUILDERS[name](dtype, e0, scale, neighbours)


def scale_shift_mace(dtype, e0, scale, neighbours):
    from e3nn import o3
    from mace import modules

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
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
        atomic_energies=np.array(e0),
        avg_num_neighbors=neighbours,
        atomic_numbers=[1, 6, 8, 14],
        correlation=2,
        gate=torch.nn.functional.silu,
        radial_MLP=[16],
        atomic_inter_scale=scale,
        atomic_inter_shift=0.0,
    )
    return model.to(getattr(torch, dtype))


def nequip_model(dtype, e0, scale, neighbours):
    from nequip.model import NequIPGNNModel

    return NequIPGNNModel(
        **nequip_arguments(dtype, e0, scale, neighbours),
        num_layers=2,
        num_features=8,
        l_max=1,
        parity=True,
        num_bessels=8,
        polynomial_cutoff_p=6,
        radial_mlp_depth=1,
        radial_mlp_width=16,
    ).eval()


def allegro_model(dtype, e0, scale, neighbours):
    from allegro.model import AllegroModel

    return AllegroModel(
        **nequip_arguments(dtype, e0, scale, neighbours),
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


def nequip_arguments(dtype, e0, scale, neighbours):
    """What the builders of nequip and allegro are told alike; both want nequip's global state."""
    from nequip.utils.global_state import set_global_state

    set_global_state()
    return {
        "seed": 5,
        "model_dtype": dtype,
        "type_names": list(E0),
        "r_max": 4.0,
        "avg_num_neighbors": neighbours,
        "per_type_energy_scales": scale,
        "per_type_energy_shifts": dict(zip(E0, e0, strict=True)),
    }


def run_mace(model, graph, potential):
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


def run_nequip(model, graph, potential):
    """Evaluate by upstream's forward; Allegro's is the same."""
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


BUILDERS = {"mace": scale_shift_mace, "nequip": nequip_model, "allegro": allegro_model}
RUNS = {"mace": run_mace, "nequip": run_nequip, "allegro": run_nequip}
