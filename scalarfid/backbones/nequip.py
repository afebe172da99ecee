"""NequIP (arXiv 2101.03164) by its public builder, with the scalar sites mounted between its named modules.

The centre that receives a message is row 0 of ``edge_index``. Positions stay float64, features have the model's dtype.
"""

from __future__ import annotations

import torch
from nequip.data import AtomicDataDict, register_fields
from nequip.model import NequIPGNNModel
from nequip.nn import GraphModuleMixin
from torch import nn

from scalarfid.backbones.base import message_site
from scalarfid.backbones.nequip_family import EdgeModule, NequIPFamily, common_arguments, edge_site, insert
from scalarfid.sites import Attachment, CoordinationOptions, EdgeSlot, MessageSlot, ReadoutSite, Sites, window

WINDOW_KEY = "scalarfid_window"
register_fields(node_fields=[WINDOW_KEY])


def build(
    *,
    elements: list[int],
    cutoff: float,
    mean_neighbours: float,
    dtype: torch.dtype,
    seed: int,
    channels: int,
    l_max: int,
    parity: bool,
    num_layers: int,
    num_bessel: int,
    envelope_power: int,
    radial_mlp_depth: int,
    radial_mlp_width: int,
) -> NequIP:
    """Build a NequIP; messages are divided by the root of ``mean_neighbours``.

    Args:
        elements: atomic numbers, ascending.
        cutoff: r_c in Å.
        mean_neighbours: mean number of neighbours N.
        dtype: float32 or float64, of the features.
        seed: of the weights.
        channels: multiplicity of every irrep.
        l_max: largest l of features and spherical harmonics.
        parity: whether features of odd mirror parity are kept.
        num_layers: interaction blocks.
        num_bessel: B.
        envelope_power: p of f_c.
        radial_mlp_depth: hidden layers of the radial networks.
        radial_mlp_width: their width.

    """
    model = NequIPGNNModel(
        num_layers=num_layers,
        num_features=channels,
        radial_mlp_depth=radial_mlp_depth,
        radial_mlp_width=radial_mlp_width,
        num_bessels=num_bessel,
        polynomial_cutoff_p=envelope_power,
        l_max=l_max,
        parity=parity,
        **common_arguments(elements, cutoff, mean_neighbours, dtype, seed),
    )
    return NequIP(model)


class NequIP(NequIPFamily):
    """Upstream's NequIP with its scalar sites."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        sequence = self.sequence
        self.layers = [m.conv for name, m in sequence.named_children() if name.endswith("_convnet")]
        self.sites = Sites(
            edge=edge_site(sequence.bessel_encode, sequence.edge_norm),
            messages=tuple(message_site(i, layer.tp_scatter.tp) for i, layer in enumerate(self.layers)),
            readouts=(ReadoutSite(sequence.per_atom_energy_readout.mlp_module.dims[0], "atom"),),
        )

    def mount(self, attachment: Attachment, options: CoordinationOptions) -> None:
        """See :class:`Backbone`."""
        if attachment.has_edges:
            slot = EdgeSlot(self.sites.edge, attachment, options)
            insert(self.sequence, "edge_site", NequIPEdges(slot), after="factor")
        if attachment.has_messages:
            for site, probes in zip(self.sites.messages, attachment.messages, strict=True):
                layer = self.layers[site.layer]
                layer.edge_mlp = MessageSlot(layer.edge_mlp, site, probes)
            insert(self.sequence, "edge_site_end", RestoreModule(), before="per_atom_energy_readout")
        if attachment.has_readouts:
            (probe,) = attachment.readouts
            insert(self.sequence, "window", WindowModule(), before="per_atom_energy_readout")
            self.mount_readout("per_atom_energy_readout", AtomicDataDict.NODE_FEATURES_KEY, probe, WINDOW_KEY)


class NequIPEdges(EdgeModule):
    """Replaces the edge embedding by the edge state if messages read it, else by its features."""

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Read lengths and species, write the edge embedding."""
        state = self.state(data)
        data[AtomicDataDict.EDGE_EMBEDDING_KEY] = state if self.slot.feeds_messages else state.features
        return data


class RestoreModule(GraphModuleMixin, nn.Module):
    """Makes the edge embedding a tensor again after the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self._init_irreps(irreps_in={}, irreps_out={})

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Write the features [E,F] of the edge state."""
        key = AtomicDataDict.EDGE_EMBEDDING_KEY
        data[key] = data[key].features
        return data


class WindowModule(GraphModuleMixin, nn.Module):
    """Writes the window q [N,1] of the readout."""

    def __init__(self) -> None:
        super().__init__()
        self._init_irreps(irreps_in={}, irreps_out={})

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Sum f_c on the centres, which are row 0."""
        centre, envelope = data[AtomicDataDict.EDGE_INDEX_KEY][0], data[AtomicDataDict.EDGE_CUTOFF_KEY]
        data[WINDOW_KEY] = window(envelope, centre, AtomicDataDict.num_nodes(data))
        return data
