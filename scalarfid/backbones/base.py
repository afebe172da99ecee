"""What a backbone is: built from plain numbers, a graph in, per-atom numbers x_i out, scalar sites declared."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from scalarfid.sites import Attachment, CoordinationOptions, MessageSite, Sites

UPSTREAM = "upstream"
PROBE = "probe"


class Inputs(NamedTuple):
    """A batch of graphs as every backbone gets it; lists are full (i→j and j→i).

    Attributes:
        pos: [N,3] Å, float64.
        species: [N] indices into the model's elements.
        cell: [B,3,3] Å, float64, zero for molecules.
        edge_index: [2,E]; vec = pos[e1] − pos[e0] + unit_shifts · cell.
        unit_shifts: [E,3] float64.
        batch: [N] frame of each atom.
        ptr: [B+1] first atom of each frame.

    """

    pos: Tensor
    species: Tensor
    cell: Tensor
    edge_index: Tensor
    unit_shifts: Tensor
    batch: Tensor
    ptr: Tensor


class Backbone(nn.Module, ABC):
    """An upstream network behind one interface.

    The ``build`` function of its file takes ``elements`` (atomic numbers), ``cutoff`` (Å), ``mean_neighbours``,
    ``dtype``, ``seed`` and the sizes, all plain numbers. A subclass keeps the upstream module in ``self.model`` with
    energy scale 1 and shifts 0, and sets ``self.sites``.
    """

    sites: Sites
    model: nn.Module
    energy_keys: ClassVar[tuple[str, ...]]
    """Where a native state_dict holds E0 and s; in ``self.model`` these are 0 and 1."""
    local: bool = False
    """Whether x_i depends on the edges of centre i alone, so that centres may be computed some at a time."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Map a batch to x [N], dimensionless: E_i = E0(z_i) + s·x_i + ZBL_i. Differentiable in pos and cell."""

    @abstractmethod
    def mount(self, attachment: Attachment, options: CoordinationOptions) -> None:
        """Put the modules of a non-empty attachment on the sites."""

    @abstractmethod
    def read_energies(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return (E0 [S], s [1]) held by a native state_dict, in eV."""

    @abstractmethod
    def write_energies(self, state: dict[str, Tensor], e0: Tensor, scale: Tensor) -> None:
        """Put E0 [S] and s [1] in eV where a native state_dict holds them."""

    def native_state(self) -> dict[str, Tensor]:
        """Return the state of the upstream module under upstream's own keys, without probes."""
        pairs = ((native_key(key), value) for key, value in self.model.state_dict().items())
        return {key: value for key, value in pairs if key is not None}

    def load_native(self, state: Mapping[str, Tensor]) -> None:
        """Load weights saved by the bare upstream class, under its keys; scale and shifts stay 1 and 0 here."""
        own = self.native_state()
        neutral = {**state, **{key: own[key] for key in self.energy_keys}}
        names = {native_key(key): key for key in self.model.state_dict()}
        self.model.load_state_dict({names[key]: value for key, value in neutral.items()}, strict=False)


def native_key(key: str) -> str | None:
    """Return upstream's name of a parameter: without our slots' ``upstream`` step; None for a probe's."""
    parts = key.split(".")
    if PROBE in parts:
        return None
    return ".".join(part for part in parts if part != UPSTREAM)


def message_site(layer: int, tensor_product: nn.Module) -> MessageSite:
    """Describe the weights of an e3nn ``uvu`` tensor product, in the order of its instructions."""
    mask: list[bool] = []
    paths = []
    for instruction in tensor_product.instructions:
        if not instruction.has_weight:
            continue
        width = math.prod(instruction.path_shape)
        is_scalar = tensor_product.irreps_out[instruction.i_out].ir.l == 0
        mask += [is_scalar] * width
        if is_scalar:
            paths.append(width)
    return MessageSite(layer, tuple(mask), tuple(paths))
