"""Allegro (Nat. Commun. 14, 579) by its public builder, with the scalar sites mounted.

The l = 0 messages of Allegro are the l = 0 part of the environment: per layer, weights [E, channel × irrep] multiply
the spherical harmonics before the sum over neighbours. The readout is per edge, so its window is q = f_c(u_ij); with
the centre's coordination alone the network stays strictly local.
"""

from __future__ import annotations

import torch
from allegro.model import AllegroModel
from allegro.nn import Allegro_Module
from nequip.data import AtomicDataDict, register_fields
from nequip.nn import scatter
from torch import Tensor, nn

from scalarfid.backbones.nequip_family import EdgeModule, NequIPFamily, common_arguments, edge_site, insert
from scalarfid.sites import (
    Attachment,
    CoordinationOptions,
    EdgeSlot,
    MessageGate,
    MessageSite,
    ReadoutSite,
    Sites,
)

STATE_KEY = "scalarfid_edge_state"
register_fields(edge_fields=[STATE_KEY])


def build(
    *,
    elements: list[int],
    cutoff: float,
    mean_neighbours: float,
    dtype: torch.dtype,
    seed: int,
    l_max: int,
    parity: bool,
    num_layers: int,
    num_scalar: int,
    num_tensor: int,
    mlp_depth: int,
    mlp_width: int,
    readout_depth: int,
    readout_width: int,
    num_bessel: int,
    envelope_power: int,
) -> Allegro:
    """Build an Allegro; the environment is divided by the root of ``mean_neighbours``.

    Args:
        elements: atomic numbers, ascending.
        cutoff: r_c in Å.
        mean_neighbours: mean number of neighbours N.
        dtype: float32 or float64, of the features.
        seed: of the weights.
        l_max: largest l of tensors and spherical harmonics.
        parity: whether tensors of odd mirror parity are kept.
        num_layers: Allegro layers.
        num_scalar: scalar features per edge.
        num_tensor: channels of the tensor track.
        mlp_depth: hidden layers of the two-body and latent networks.
        mlp_width: their width.
        readout_depth: hidden layers of the readout.
        readout_width: their width.
        num_bessel: B.
        envelope_power: p of f_c.

    """
    model = AllegroModel(
        l_max=l_max,
        parity=parity,
        radial_chemical_embed={
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": num_bessel,
            "polynomial_cutoff_p": envelope_power,
        },
        scalar_embed_mlp_hidden_layers_depth=mlp_depth,
        scalar_embed_mlp_hidden_layers_width=mlp_width,
        num_layers=num_layers,
        num_scalar_features=num_scalar,
        num_tensor_features=num_tensor,
        allegro_mlp_hidden_layers_depth=mlp_depth,
        allegro_mlp_hidden_layers_width=mlp_width,
        readout_mlp_hidden_layers_depth=readout_depth,
        readout_mlp_hidden_layers_width=readout_width,
        **common_arguments(elements, cutoff, mean_neighbours, dtype, seed),
    )
    return Allegro(model)


class Allegro(NequIPFamily):
    """Upstream's Allegro with its scalar sites."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        sequence = self.sequence
        core = sequence.allegro
        is_scalar = [ir.l == 0 for _, ir in core.irreps_in[core.tensor_basis_in_field]]
        mask = tuple(is_scalar * core.num_tensor_features)  # columns are [channel, irrep]
        self.local = True
        self.sites = Sites(
            edge=edge_site(sequence.radial_chemical_embed.bessel_encode, sequence.edge_norm),
            messages=tuple(MessageSite(i, mask, (core.num_tensor_features,)) for i in range(core.num_layers)),
            readouts=(ReadoutSite(sequence.edge_readout.mlp_module.dims[0], "edge"),),
        )

    def mount(self, attachment: Attachment, options: CoordinationOptions) -> None:
        """See :class:`Backbone`."""
        self.local = options.of == "centre"
        if attachment.has_edges:
            edges = AllegroEdges(EdgeSlot(self.sites.edge, attachment, options))
            insert(self.sequence.radial_chemical_embed, "edge_site", edges, after="bessel_encode")
        if attachment.has_messages:
            pairs = zip(self.sites.messages, attachment.messages, strict=True)
            gates = [MessageGate(site, probes) for site, probes in pairs]
            GatedAllegro.adopt(self.sequence.allegro, gates)
        if attachment.has_readouts:
            (probe,) = attachment.readouts
            self.mount_readout("edge_readout", AtomicDataDict.EDGE_FEATURES_KEY, probe, AtomicDataDict.EDGE_CUTOFF_KEY)


class AllegroEdges(EdgeModule):
    """Keeps the edge state beside the edge embedding."""

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Read lengths and species, write the edge embedding and the edge state."""
        state = self.state(data)
        data[AtomicDataDict.EDGE_EMBEDDING_KEY] = state.features
        data[STATE_KEY] = state
        return data


class GatedAllegro(Allegro_Module):
    """Upstream's layers with a gate on the environment weights of each.

    Upstream hands these weights from one linear layer to the next within ``forward``, where nothing can be attached; so
    the loop is written out here over upstream's own sub-modules, and an instance is turned into this class in place,
    keeping its parameters and their names.
    """

    probe: nn.ModuleList

    @classmethod
    def adopt(cls, core: Allegro_Module, gates: list[MessageGate]) -> None:
        """Turn ``core`` into this class in place."""
        core.__class__ = cls
        core.probe = nn.ModuleList(gates)

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Same as upstream's, with w^0_ij gated in every layer."""
        centre = data[AtomicDataDict.EDGE_INDEX_KEY][0]
        state = data.pop(STATE_KEY)
        basis = data[self.tensor_basis_in_field]
        tensors = data[self.tensor_features_in_field]
        latents = self.first_layer_env_embed_projection(data[self.scalar_in_field])
        scalars = [latents[:, : self.num_scalar_features]]
        for gate, latent, tensor_product in zip(self.probe, self.latents, self.tps, strict=True):
            weights = latents[:, self.num_scalar_features :]
            environment = self._environment(gate(weights, state), basis, centre, data)
            tensors = tensor_product(tensors, environment, centre)
            latents = latent(torch.cat([*scalars, tensors[:, :, 0]], dim=-1))
            scalars.append(latents[:, : self.num_scalar_features])
        data[self.scalar_out_field] = torch.cat(scalars, dim=-1)
        return data

    def _environment(self, weights: Tensor, basis: Tensor, centre: Tensor, data: AtomicDataDict.Type) -> Tensor:
        """Sum weighted harmonics over neighbours: [N, channel, (l_max + 1)²], divided by √(mean neighbours)."""
        num_atoms = AtomicDataDict.num_nodes(data)
        summed = scatter(self._env_weighter(basis, weights), centre, dim=0, dim_size=num_atoms)
        data[AtomicDataDict.NODE_FEATURES_KEY] = summed.flatten(1)
        data = self.avg_num_neighbors_norm(data)
        return data[AtomicDataDict.NODE_FEATURES_KEY].view(summed.shape)
