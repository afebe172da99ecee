"""MACE (arXiv 2206.07697) by the parts of upstream's ``ScaleShiftMACE``.

Upstream's ``forward`` mixes the network with derivatives and several output heads. Here the same sub-modules are called
in the same order and only the per-atom numbers are taken; bare, they are bit-equal to upstream's. The centre that
receives a message is row 1 of ``edge_index``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from mace import modules as mace_modules  # isort: skip - before e3nn: it makes 0.4.4, its own pin, load under torch 2.6
from e3nn import o3
from torch import Tensor, nn
from torch.nn import functional

from scalarfid.backbones.base import Backbone, Inputs, message_site
from scalarfid.sites import (
    Attachment,
    CoordinationOptions,
    EdgeSite,
    EdgeSlot,
    MessageSlot,
    ReadoutSite,
    Sites,
    one_hot,
    window,
)

_BLOCK = mace_modules.interaction_classes["RealAgnosticResidualInteractionBlock"]


def build(
    *,
    elements: list[int],
    cutoff: float,
    mean_neighbours: float,
    dtype: torch.dtype,
    seed: int,  # noqa: ARG001 - the caller has seeded the generators
    channels: int,
    hidden_l: int,
    l_max: int,
    num_layers: int,
    correlation: int,
    num_bessel: int,
    envelope_power: int,
    radial_mlp: list[int],
    readout_width: int,
) -> MACE:
    """Build a MACE; messages are divided by ``mean_neighbours``.

    Args:
        elements: atomic numbers, ascending.
        cutoff: r_c in Å.
        mean_neighbours: mean number of neighbours N; MACE divides by N (NequIP and Allegro by √N).
        dtype: float32 or float64.
        seed: unused, MACE draws from the generators that :func:`isolated` has seeded.
        channels: multiplicity of every hidden irrep.
        hidden_l: largest l of the hidden irreps.
        l_max: largest l of the spherical harmonics.
        num_layers: interactions.
        correlation: body order of the products minus one.
        num_bessel: B.
        envelope_power: p of f_c.
        radial_mlp: hidden widths of the radial networks.
        readout_width: hidden width of the last, nonlinear readout.

    """
    hidden = o3.Irreps("+".join(f"{channels}x{degree}{'eo'[degree % 2]}" for degree in range(hidden_l + 1)))
    model = mace_modules.ScaleShiftMACE(
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        r_max=float(cutoff),
        num_bessel=num_bessel,
        num_polynomial_cutoff=envelope_power,
        max_ell=l_max,
        interaction_cls=_BLOCK,
        interaction_cls_first=_BLOCK,
        num_interactions=num_layers,
        num_elements=len(elements),
        hidden_irreps=hidden,
        MLP_irreps=o3.Irreps(f"{readout_width}x0e"),
        atomic_energies=np.zeros(len(elements)),
        avg_num_neighbors=float(mean_neighbours),
        atomic_numbers=list(elements),
        correlation=correlation,
        gate=functional.silu,
        radial_MLP=list(radial_mlp),
        apply_cutoff=True,
    )
    return MACE(model.to(dtype))


class MACE(Backbone):
    """Upstream's MACE with its scalar sites."""

    energy_keys = ("atomic_energies_fn.atomic_energies", "scale_shift.scale", "scale_shift.shift")

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.edge_slot: EdgeSlot | None = None
        self.readout_probes: nn.ModuleList | None = None
        radial = model.radial_embedding
        if not radial.apply_cutoff:
            raise ValueError("MACE must be built with apply_cutoff=True: e_ij has to carry f_c")
        self.sites = Sites(
            edge=EdgeSite(
                num_features=radial.out_dim,
                num_bessel=radial.out_dim,
                num_species=len(model.atomic_numbers),
                cutoff=float(model.r_max),
                envelope_power=float(radial.cutoff_fn.p),
            ),
            messages=tuple(message_site(i, block.conv_tp) for i, block in enumerate(model.interactions)),
            readouts=tuple(ReadoutSite(_scalar_width(readout), "atom") for readout in model.readouts),
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """See :class:`Backbone`."""
        model = self.model
        dtype = model.r_max.dtype
        neighbour, centre = inputs.edge_index
        pos, cell, shifts = inputs.pos.to(dtype), inputs.cell.to(dtype), inputs.unit_shifts.to(dtype)
        vectors = pos[centre] - pos[neighbour]
        vectors = vectors + torch.einsum("be,bec->bc", shifts, cell[inputs.batch[neighbour]])
        lengths = torch.linalg.norm(vectors, dim=-1, keepdim=True)
        node_attrs = one_hot(inputs.species, len(model.atomic_numbers), dtype)
        features = model.node_embedding(node_attrs)
        harmonics = model.spherical_harmonics(vectors)
        envelope = model.radial_embedding.cutoff_fn(lengths)
        edge_features = model.radial_embedding.bessel_fn(lengths) * envelope
        if self.edge_slot is not None:
            state = self.edge_slot(edge_features, envelope, lengths, inputs.species, (centre, neighbour))
            edge_features = state if self.edge_slot.feeds_messages else state.features
        q = None if self.readout_probes is None else window(envelope, centre, pos.shape[0])
        layers = []
        for interaction, product in zip(model.interactions, model.products, strict=True):
            features, residual = interaction(
                node_attrs=node_attrs,
                node_feats=features,
                edge_attrs=harmonics,
                edge_feats=edge_features,
                edge_index=inputs.edge_index,
            )
            features = product(node_feats=features, sc=residual, node_attrs=node_attrs)
            layers.append(features)
        # Read after the last layer, as upstream does: gradients are then added in upstream's order.
        energies = [self._read(i, features, q) for i, features in enumerate(layers)]
        return torch.sum(torch.stack(energies, dim=0), dim=0)

    def _read(self, i: int, features: Tensor, q: Tensor | None) -> Tensor:
        """Layer i's contribution [N] to x from node features [N, irreps], scalars first."""
        if self.readout_probes is not None:
            n = self.sites.readouts[i].num_features
            s, rest = features.split([n, features.shape[1] - n], dim=-1)
            features = torch.cat([self.readout_probes[i](s, q), rest], dim=-1)
        return self.model.readouts[i](features)[:, 0]

    def mount(self, attachment: Attachment, options: CoordinationOptions) -> None:
        """See :class:`Backbone`."""
        if attachment.has_edges:
            self.edge_slot = EdgeSlot(self.sites.edge, attachment, options)
        if attachment.has_messages:
            for site, probes in zip(self.sites.messages, attachment.messages, strict=True):
                block = self.model.interactions[site.layer]
                block.conv_tp_weights = MessageSlot(block.conv_tp_weights, site, probes)
        if attachment.has_readouts:
            self.readout_probes = nn.ModuleList(attachment.readouts)

    def read_energies(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See :class:`Backbone`; a non-zero shift becomes part of E0."""
        e0 = state["atomic_energies_fn.atomic_energies"].reshape(-1)
        return e0 + state["scale_shift.shift"], state["scale_shift.scale"].reshape(1)

    def write_energies(self, state: dict[str, Tensor], e0: Tensor, scale: Tensor) -> None:
        """See :class:`Backbone`."""
        key = "atomic_energies_fn.atomic_energies"
        state[key] = e0.to(state[key]).reshape(state[key].shape)
        state["scale_shift.scale"] = scale.to(state["scale_shift.scale"]).reshape(state["scale_shift.scale"].shape)
        state["scale_shift.shift"] = torch.zeros_like(state["scale_shift.shift"])


def _scalar_width(readout: nn.Module) -> int:
    """Number of leading l = 0 columns a readout takes."""
    linear = readout.linear if hasattr(readout, "linear") else readout.linear_1
    irreps = linear.irreps_in
    if irreps[0].ir.l != 0 or any(ir.l == 0 for _, ir in irreps[1:]):
        raise ValueError(f"the scalars of {irreps} are not one leading block")
    return irreps[0].mul
