"""NequIP (arXiv 2101.03164) by its public builder, with the scalar sites mounted between its named modules.

The centre that receives a message is row 0 of ``edge_index``. Positions stay float64, features have the model's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from ase.data import chemical_symbols
from e3nn.o3 import Irreps
from nequip.data import AtomicDataDict, register_fields
from nequip.model import NequIPGNNModel
from nequip.nn import GraphModuleMixin, SequentialGraphNetwork, with_edge_vectors_
from nequip.utils.global_state import set_global_state
from torch import Tensor, nn

from scalarfid.backbones.base import Backbone, Inputs, message_site
from scalarfid.sites import (
    Attachment,
    CoordinationOptions,
    EdgeSite,
    EdgeSlot,
    EdgeState,
    MessageSlot,
    ReadoutSite,
    Sites,
    window,
)

_SCALE_SHIFT = "model.func.per_type_energy_scale_shift"
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
    set_global_state()
    torch.set_default_dtype(dtype)
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


def common_arguments(elements: list[int], cutoff: float, mean_neighbours: float, dtype: torch.dtype, seed: int) -> dict:
    """Arguments of nequip's builders that NequIP and Allegro share: energy scale 1, shifts 0, no derivatives."""
    names = [chemical_symbols[z] for z in elements]
    return {
        "seed": seed,
        "model_dtype": str(dtype).removeprefix("torch."),
        "type_names": names,
        "r_max": float(cutoff),
        "avg_num_neighbors": float(mean_neighbours),
        "per_type_energy_scales": 1.0,
        "per_type_energy_shifts": dict.fromkeys(names, 0.0),
        "do_derivatives": False,
    }


class NequIPFamily(Backbone):
    """What NequIP and Allegro have in common: nequip's data dictionary and its sequence of named modules."""

    energy_keys = (f"{_SCALE_SHIFT}.scales", f"{_SCALE_SHIFT}.shifts")

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def sequence(self) -> SequentialGraphNetwork:
        """The named modules from positions to energies."""
        return self.model.model.func

    def forward(self, inputs: Inputs) -> Tensor:
        """See :class:`Backbone`."""
        data = {
            AtomicDataDict.POSITIONS_KEY: inputs.pos,
            AtomicDataDict.CELL_KEY: inputs.cell,
            AtomicDataDict.EDGE_INDEX_KEY: inputs.edge_index,
            AtomicDataDict.EDGE_CELL_SHIFT_KEY: inputs.unit_shifts,
            AtomicDataDict.BATCH_KEY: inputs.batch,
            AtomicDataDict.NUM_NODES_KEY: inputs.ptr.diff(),
            AtomicDataDict.ATOM_TYPE_KEY: inputs.species,
        }
        return self.sequence(data)[AtomicDataDict.PER_ATOM_ENERGY_KEY].squeeze(-1)

    def read_energies(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See :class:`Backbone`.

        Raises:
            ValueError: if the scale differs between elements; here it is one number.

        """
        scales, shifts = (state[key].reshape(-1) for key in self.energy_keys)
        if scales.unique().numel() != 1:
            raise ValueError(f"per-element energy scales {scales.tolist()} are not supported: s is one number")
        return shifts, scales[:1]

    def write_energies(self, state: dict[str, Tensor], e0: Tensor, scale: Tensor) -> None:
        """See :class:`Backbone`."""
        for key, value in zip(self.energy_keys, (scale, e0), strict=True):
            old = state[key]
            state[key] = value.to(old).reshape(-1).expand(old.numel()).reshape(old.shape).clone()

    def mount_readout(self, before: str, field: str, probe: nn.Module | None, q_key: str) -> None:
        """Insert a readout module before a named one."""
        if probe is not None:
            insert(self.sequence, f"{before}_site", ReadoutModule(probe, field, q_key), before=before)


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
        slot = EdgeSlot(self.sites.edge, attachment, options)
        insert(self.sequence, "edge_site", EdgeModule(slot, pack=attachment.has_messages), after="factor")
        if attachment.has_messages:
            for site, probes in zip(self.sites.messages, attachment.messages, strict=True):
                layer = self.layers[site.layer]
                layer.edge_mlp = MessageSlot(layer.edge_mlp, site, probes, slot.layout)
            for name, module in self.sequence.named_children():
                if name.endswith("_convnet"):
                    declare(module, AtomicDataDict.EDGE_EMBEDDING_KEY, slot.layout.width)
            insert(
                self.sequence, "edge_site_end", RestoreModule(slot.site.num_features), before="per_atom_energy_readout"
            )
        if attachment.has_readouts:
            (probe,) = attachment.readouts
            self.mount_readout("per_atom_energy_readout", AtomicDataDict.NODE_FEATURES_KEY, probe, WINDOW_KEY)


def edge_site(encoding: nn.Module, norm: nn.Module) -> EdgeSite:
    """Describe the edge site behind nequip's Bessel encoding and length normaliser."""
    return EdgeSite(
        num_features=encoding.num_bessels,
        num_bessel=encoding.num_bessels,
        num_species=norm.num_types,
        cutoff=norm.r_max,
        envelope_power=float(encoding.cutoff.p),
    )


def edge_state(slot: EdgeSlot, data: AtomicDataDict.Type) -> EdgeState:
    """Run the edge slot on nequip's data: features e [E,F], lengths, species; the centre is row 0."""
    data = with_edge_vectors_(data, with_lengths=True)
    r = data[AtomicDataDict.EDGE_LENGTH_KEY].view(-1, 1)
    centre, neighbour = data[AtomicDataDict.EDGE_INDEX_KEY]
    species = data[AtomicDataDict.ATOM_TYPE_KEY].view(-1)
    return slot(data[AtomicDataDict.EDGE_EMBEDDING_KEY], r, species, centre, neighbour)


class EdgeModule(GraphModuleMixin, nn.Module):
    """The edge slot as one of nequip's modules: replaces the edge embedding by the (packed) edge state."""

    def __init__(self, slot: EdgeSlot, *, pack: bool) -> None:
        super().__init__()
        self.slot = slot
        self.pack = pack
        self._init_irreps(irreps_in={}, irreps_out={})

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Read lengths and species, write the edge embedding and the window q [N,1]."""
        state = edge_state(self.slot, data)
        data[AtomicDataDict.EDGE_EMBEDDING_KEY] = state.pack() if self.pack else state.features
        centre = data[AtomicDataDict.EDGE_INDEX_KEY][0]
        data[WINDOW_KEY] = window(state.envelope, centre, AtomicDataDict.num_nodes(data))
        return data


class RestoreModule(GraphModuleMixin, nn.Module):
    """Gives the edge embedding back its upstream width after the last layer."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self._init_irreps(irreps_in={}, irreps_out={})

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Narrow the edge embedding to [E,F]."""
        key = AtomicDataDict.EDGE_EMBEDDING_KEY
        data[key] = data[key].narrow(-1, 0, self.num_features)
        return data


class ReadoutModule(GraphModuleMixin, nn.Module):
    """A readout probe as one of nequip's modules: changes ``field`` [M,C] with the window ``q_key`` [M,1]."""

    def __init__(self, probe: nn.Module, field: str, q_key: str) -> None:
        super().__init__()
        self.probe, self.field, self.q_key = probe, field, q_key
        self._init_irreps(irreps_in={}, irreps_out={})

    def forward(self, data: AtomicDataDict.Type) -> AtomicDataDict.Type:
        """Replace ``field``."""
        data[self.field] = self.probe(data[self.field], data[self.q_key])
        return data


def declare(layer: GraphModuleMixin, field: str, width: int) -> None:
    """Tell one of upstream's layers how wide ``field`` is now; nequip's debug mode checks it."""
    for module in layer.modules():
        for irreps in (getattr(module, "irreps_in", None), getattr(module, "irreps_out", None)):
            if isinstance(irreps, dict) and field in irreps:
                irreps[field] = Irreps(f"{width}x0e")


def insert(
    sequence: SequentialGraphNetwork,
    name: str,
    module: nn.Module,
    *,
    after: str | None = None,
    before: str | None = None,
) -> None:
    """Insert a module that leaves the irreps of the data unchanged; upstream's names stay as they are."""
    order = []
    for key, value in sequence._modules.items():
        if key == before:
            order.append((name, module))
        order.append((key, value))
        if key == after:
            order.append((name, module))
    sequence._modules.clear()
    sequence._modules.update(order)
