"""What NequIP and Allegro share: nequip's data dictionary, its sequence of named modules, and modules to put there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from ase.data import chemical_symbols
from nequip.data import AtomicDataDict
from nequip.nn import GraphModuleMixin, SequentialGraphNetwork, with_edge_vectors_
from nequip.utils.global_state import set_global_state
from torch import Tensor, nn

from scalarfid.backbones.base import Backbone, Inputs
from scalarfid.sites import EdgeSite, EdgeSlot, EdgeState

_SCALE_SHIFT = "model.func.per_type_energy_scale_shift"


def common_arguments(elements: list[int], cutoff: float, mean_neighbours: float, dtype: torch.dtype, seed: int) -> dict:
    """Set nequip's global state and return what its builders share: energy scale 1, shifts 0, no derivatives."""
    set_global_state()
    torch.set_default_dtype(dtype)
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
    """A model of nequip's builders; a subclass mounts the sites."""

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


def edge_site(encoding: nn.Module, norm: nn.Module) -> EdgeSite:
    """Describe the edge site behind nequip's Bessel encoding and length normaliser."""
    return EdgeSite(
        num_features=encoding.num_bessels,
        num_bessel=encoding.num_bessels,
        num_species=norm.num_types,
        cutoff=norm.r_max,
        envelope_power=float(encoding.cutoff.p),
    )


class EdgeModule(GraphModuleMixin, nn.Module):
    """The edge slot as one of nequip's modules; a subclass says where the edge state goes."""

    def __init__(self, slot: EdgeSlot) -> None:
        super().__init__()
        self.slot = slot
        self._init_irreps(irreps_in={}, irreps_out={})

    def state(self, data: AtomicDataDict.Type) -> EdgeState:
        """Run the slot on features e [E,F], f_c, lengths and species; the centre is row 0."""
        data = with_edge_vectors_(data, with_lengths=True)
        r = data[AtomicDataDict.EDGE_LENGTH_KEY].view(-1, 1)
        species = data[AtomicDataDict.ATOM_TYPE_KEY].view(-1)
        e, envelope = data[AtomicDataDict.EDGE_EMBEDDING_KEY], data[AtomicDataDict.EDGE_CUTOFF_KEY]
        return self.slot(e, envelope, r, species, data[AtomicDataDict.EDGE_INDEX_KEY])


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
