"""The three places where a probe can sit on a backbone, and nothing about either side.

An *edge site* sees the invariant edge features e_ij [E,F] and hands columns of its own to the message sites; a *message
site* (one per layer) sees the weights of l = 0 messages [E,W₀]; a *readout site* sees the invariant features s [M,C]
that enter a readout. A backbone describes them as :class:`Sites` and mounts the modules of an :class:`Attachment` with
the slots below; a probe is built from the description alone. Neither imports the other.

Edges j→i are directed to their *centre* i. Whatever travels from the edge site to the message sites travels as columns
appended to the edge features (:meth:`EdgeState.pack`), so there is no hidden state between modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scalarfid.data.coordination import bond_weights, coordination_numbers, covalent_sums, polynomial_cutoff


@dataclass(frozen=True)
class EdgeSite:
    """Invariant edge features e_ij [E,F]: what a probe needs to know of them to be built.

    Attributes:
        num_features: F, the width of e_ij.
        num_bessel: B, how many radial Bessel functions the backbone already has.
        num_species: S, how many elements.
        cutoff: r_c in Å.
        envelope_power: p of the backbone's own envelope f_c.

    """

    num_features: int
    num_bessel: int
    num_species: int
    cutoff: float
    envelope_power: float


@dataclass(frozen=True)
class MessageSite:
    """The weights [E,W] that multiply one layer's messages.

    Attributes:
        layer: index of the layer, from 0.
        mask: for each of the W columns, whether the path it weights ends in l = 0.
        paths: multiplicity of each l = 0 path, in the order of the columns; sums to W₀ = number of true entries.

    """

    layer: int
    mask: tuple[bool, ...]
    paths: tuple[int, ...]

    @property
    def num_scalar(self) -> int:
        """W₀, the number of weights of l = 0 messages."""
        return sum(self.mask)


@dataclass(frozen=True)
class ReadoutSite:
    """Invariant features s [M,C] that enter a readout; M counts atoms (``per="atom"``) or edges (``per="edge"``)."""

    num_features: int
    per: str


@dataclass(frozen=True)
class Sites:
    """Every scalar site of a backbone.

    Attributes:
        edge: its one edge site.
        messages: one message site per layer.
        readouts: one readout site per readout.
        coordination_width: columns D of ĉ − 1, see :class:`Coordination`.

    """

    edge: EdgeSite
    messages: tuple[MessageSite, ...]
    readouts: tuple[ReadoutSite, ...]
    coordination_width: int = 1


class EdgeState(NamedTuple):
    """What a probe may see of the edges j→i.

    Attributes:
        inputs: [E, F + 2S + D] columns e_ij, one-hot species of centre and neighbour, reduced coordination ĉ − 1.
        features: [E,F] the first F of them, e_ij.
        r: [E,1] edge lengths in Å.
        envelope: [E,1] f_c(r/r_c).
        spectral: [E,K] columns an edge module computed for the message modules (K = 0 without one).

    """

    inputs: Tensor
    features: Tensor
    r: Tensor
    envelope: Tensor
    spectral: Tensor

    def pack(self) -> Tensor:
        """Return one tensor [E, F + 2S + D + 2 + K] that :meth:`EdgeLayout.unpack` takes apart again."""
        return torch.cat([self.inputs, self.r, self.envelope, self.spectral], dim=-1)


@dataclass(frozen=True)
class EdgeLayout:
    """Column counts of a packed :class:`EdgeState`."""

    num_features: int
    num_inputs: int
    num_spectral: int

    @property
    def width(self) -> int:
        """Columns of a packed state."""
        return self.num_inputs + 2 + self.num_spectral

    def unpack(self, packed: Tensor) -> EdgeState:
        """Take a packed state apart; views, no copies."""
        n = self.num_inputs
        inputs = packed.narrow(-1, 0, n)
        return EdgeState(
            inputs=inputs,
            features=packed.narrow(-1, 0, self.num_features),
            r=packed.narrow(-1, n, 1),
            envelope=packed.narrow(-1, n + 1, 1),
            spectral=packed.narrow(-1, n + 2, self.num_spectral),
        )


@dataclass
class Attachment:
    """Modules to mount on a backbone's sites.

    Attributes:
        edge: ``module(state) -> [E,K]``, columns for the message modules, or None. A module whose attribute ``feeds``
            is ``"features"`` returns [E,F] instead, which is added to e_ij and reaches every path.
        messages: per layer a list of ``module(weights, state) -> weights``, applied in order to the l = 0 columns
            [E,W₀]; a module whose attribute ``scope`` is ``"all"`` gets and returns all W columns.
        readouts: per readout ``module(s, q) -> s`` with s [M,C] and the window q [M,1], or None.
        coordination: whether any module reads ĉ − 1; where none does that column is zero.
        strict: False if a module is known not to be the identity at initialisation or not smooth at the cutoff.

    """

    edge: nn.Module | None = None
    messages: list[list[nn.Module]] = field(default_factory=list)
    readouts: list[nn.Module | None] = field(default_factory=list)
    coordination: bool = False
    strict: bool = True

    @property
    def has_messages(self) -> bool:
        """Whether any layer's messages are touched."""
        return any(self.messages)

    @property
    def has_readouts(self) -> bool:
        """Whether any readout is touched."""
        return any(r is not None for r in self.readouts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is mounted: the backbone is then upstream's, untouched."""
        return self.edge is None and not self.has_messages and not self.has_readouts


@dataclass(frozen=True)
class CoordinationOptions:
    """How coordination is counted: ``switch`` covalent | cutoff, ``of`` centre | both; ⟨c⟩ per element [S]."""

    elements: tuple[int, ...]
    mean: tuple[float, ...]
    switch: str = "covalent"
    of: str = "centre"

    @property
    def width(self) -> int:
        """Number of columns D of ĉ − 1: 1, or 2 with the neighbour's value."""
        return 2 if self.of == "both" else 1


class Coordination(nn.Module):
    """Reduced coordination ĉ − 1 of each edge's centre, ĉ_i = c_i/⟨c⟩_z, c_i = Σ_j S(r_ij).

    Differentiable in the edge lengths and recomputed at every call. With ``of="both"`` the neighbour's value is a
    second column: a wider receptive field, not strictly local, wrong for ghost atoms; for experiments only.
    """

    def __init__(self, options: CoordinationOptions, cutoff: float, envelope_power: float) -> None:
        super().__init__()
        self.options, self.cutoff, self.p = options, cutoff, envelope_power
        self.register_buffer("d", covalent_sums(list(options.elements)), persistent=False)
        self.register_buffer("mean", torch.tensor(options.mean, dtype=torch.float64).clamp(min=1), persistent=False)

    def forward(self, r: Tensor, species: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Map lengths r [E,1] and species [N] (indices into the elements) to ĉ − 1 [E,D]."""
        if self.options.switch == "cutoff":
            weights = polynomial_cutoff(r / self.cutoff, self.p)
        else:
            d = self.d[species[centre], species[neighbour]].to(r.dtype)
            weights = bond_weights(r, d[:, None], self.cutoff)
        c = coordination_numbers(weights, centre, species.shape[0])
        reduced = c / self.mean.to(r.dtype)[species][:, None] - 1
        if self.options.of == "both":
            return torch.cat([reduced[centre], reduced[neighbour]], dim=-1)
        return reduced[centre]


def window(envelope: Tensor, centre: Tensor, num_atoms: int) -> Tensor:
    """q_i = κ(Σ_j f_c(u_ij)) [N,1], κ(c) = c/(1 + c): exactly 0 once the last edge is gone."""
    c = coordination_numbers(envelope, centre, num_atoms)
    return c / (1 + c)


def one_hot(species: Tensor, num_species: int, dtype: torch.dtype) -> Tensor:
    """Rows [N,S] of zeros and a one; torch's own looks at the values, which neither tracing nor a GPU likes."""
    return torch.eye(num_species, dtype=dtype, device=species.device)[species]


class EdgeSlot(nn.Module):
    """Mounted after the backbone's radial features: computes the edge state once per call."""

    def __init__(self, site: EdgeSite, attachment: Attachment, options: CoordinationOptions) -> None:
        super().__init__()
        self.site = site
        self.probe = attachment.edge
        counts = attachment.coordination
        self.coordination = Coordination(options, site.cutoff, site.envelope_power) if counts else None
        width = options.width if counts else 1
        feeds_messages = self.probe is not None and getattr(self.probe, "feeds", "messages") == "messages"
        self.feeds_features = self.probe is not None and not feeds_messages
        self.packs = attachment.has_messages
        num_inputs = site.num_features + 2 * site.num_species + width
        self.layout = EdgeLayout(site.num_features, num_inputs, self.probe.width if feeds_messages else 0)

    def forward(self, e: Tensor, r: Tensor, species: Tensor, centre: Tensor, neighbour: Tensor) -> EdgeState:
        """Map features e [E,F], lengths r [E,1] in Å, species [N], centre and neighbour [E] to the edge state."""
        envelope = polynomial_cutoff(r / self.site.cutoff, self.site.envelope_power).to(e.dtype)
        onehot = one_hot(species, self.site.num_species, e.dtype)
        if self.coordination is None:
            reduced = torch.zeros_like(envelope)
        else:
            reduced = self.coordination(r, species, centre, neighbour).to(e.dtype)
        state = EdgeState(
            inputs=torch.cat([e, onehot[centre], onehot[neighbour], reduced], dim=-1),
            features=e,
            r=r.to(e.dtype),
            envelope=envelope,
            spectral=e.new_zeros(e.shape[0], 0),
        )
        if self.probe is None:
            return state
        extra = self.probe(state)
        if self.feeds_features:
            e = e + extra
            inputs = torch.cat([e, state.inputs[:, self.site.num_features :]], dim=-1)
            return state._replace(features=e, inputs=inputs)
        return state._replace(spectral=extra)


class MessageSlot(nn.Module):
    """Stands in for an upstream module that maps edge features to message weights; touches the l = 0 columns only."""

    def __init__(self, upstream: nn.Module, site: MessageSite, probes: list[nn.Module], layout: EdgeLayout) -> None:
        super().__init__()
        self.upstream = upstream
        self.gate = MessageGate(site, probes)
        self.layout = layout

    def forward(self, packed: Tensor) -> Tensor:
        """Map the packed edge state to weights [E,W]."""
        state = self.layout.unpack(packed)
        return self.gate(self.upstream(state.features), state)


class MessageGate(nn.Module):
    """Apply a layer's message modules to the l = 0 columns of its weights [E,W]; the others pass untouched."""

    def __init__(self, site: MessageSite, probes: list[nn.Module]) -> None:
        super().__init__()
        self.probe = nn.ModuleList(probes)
        mask = torch.tensor(site.mask)
        self.num_scalar = site.num_scalar
        self.is_prefix = bool(mask[: self.num_scalar].all())
        self.register_buffer("columns", mask.nonzero().squeeze(-1), persistent=False)

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Map weights [E,W] to weights [E,W]."""
        for probe in self.probe:
            if getattr(probe, "scope", "l0") == "all":
                weights = probe(weights, state)
            else:
                weights = self._replace(weights, probe(self._scalar(weights), state))
        return weights

    def _scalar(self, weights: Tensor) -> Tensor:
        if self.is_prefix:
            return weights.narrow(-1, 0, self.num_scalar)
        return weights.index_select(-1, self.columns)

    def _replace(self, weights: Tensor, scalar: Tensor) -> Tensor:
        if self.is_prefix:
            rest = weights.narrow(-1, self.num_scalar, weights.shape[-1] - self.num_scalar)
            return torch.cat([scalar, rest], dim=-1)
        return weights.index_copy(-1, self.columns, scalar)
