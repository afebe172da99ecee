"""The three places where a probe can sit on a backbone, and nothing about either side.

An *edge site* sees the invariant edge features e_ij [E,F] and hands columns of its own to the message sites; a *message
site* (one per layer) sees the weights of l = 0 messages [E,W₀]; a *readout site* sees the invariant features s [M,C]
that enter a readout. A backbone describes them as :class:`Sites` and mounts the modules of an :class:`Attachment` with
the slots below; a probe is built from the description alone. Neither imports the other.

Edges j→i are directed to their *centre* i. What travels from the edge site to the message sites travels as an
:class:`EdgeState` in the place of the edge features, so there is no hidden state between modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scalarfid.data.coordination import bond_ends, coordination_numbers, covalent_sums, polynomial_cutoff, quintic_step


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

    def count(self, scope: str) -> int:
        """How many of the W weights a module of that scope gets, see :class:`Attachment`."""
        return {"l0": self.num_scalar, "tensor": len(self.mask) - self.num_scalar, "weights": len(self.mask)}[scope]


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


@dataclass
class Attachment:
    """Modules to mount on a backbone's sites.

    Attributes:
        edge: ``module(state) -> [E,K]``, columns for the message modules, or None. A module whose attribute ``feeds``
            is ``"features"`` returns [E,F] instead, which is added to e_ij and reaches every path.
        messages: per layer a list of ``module(weights, state) -> weights``, applied in order to the l = 0 columns
            [E,W₀]; a module whose attribute ``scope`` is ``"tensor"`` gets and returns the others, [E,W − W₀], one
            with ``"weights"`` all W columns.
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
    def has_edges(self) -> bool:
        """Whether anything needs the state of the edges."""
        return self.edge is not None or self.has_messages

    @property
    def has_readouts(self) -> bool:
        """Whether any readout is touched."""
        return any(r is not None for r in self.readouts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is mounted: the backbone is then upstream's, untouched."""
        return not self.has_edges and not self.has_readouts


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
        ends = torch.stack(bond_ends(covalent_sums(list(options.elements)), cutoff))
        self.register_buffer("ends", ends, persistent=False)
        self.register_buffer("mean", torch.tensor(options.mean, dtype=torch.float64).clamp(min=1), persistent=False)

    def forward(self, r: Tensor, species: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Map lengths r [E,1] and species [N] (indices into the elements) to ĉ − 1 [E,D]."""
        if self.options.switch == "cutoff":
            weights = polynomial_cutoff(r / self.cutoff, self.p)
        else:
            ends = self.ends[:, species[centre], species[neighbour], None].to(r.dtype)
            weights = quintic_step(r, *ends)
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
    """Mounted after the backbone's radial features: computes the edge state once per call.

    Attributes:
        feeds_messages: whether message modules wait for the state; else its features are all that is needed.

    """

    def __init__(self, site: EdgeSite, attachment: Attachment, options: CoordinationOptions) -> None:
        super().__init__()
        self.site = site
        self.probe = attachment.edge
        counts = attachment.coordination
        self.coordination = Coordination(options, site.cutoff, site.envelope_power) if counts else None
        self.feeds_messages = attachment.has_messages

    def forward(self, e: Tensor, envelope: Tensor, r: Tensor, species: Tensor, pair: Iterable[Tensor]) -> EdgeState:
        """Map features e [E,F], f_c [E,1], lengths r [E,1] in Å, species [N], (centre, neighbour) [E] to a state."""
        centre, neighbour = pair
        onehot = one_hot(species, self.site.num_species, e.dtype)
        if self.coordination is None:
            reduced = torch.zeros_like(envelope)
        else:
            reduced = self.coordination(r, species, centre, neighbour).to(e.dtype)
        others = [onehot[centre], onehot[neighbour], reduced]
        nothing = e.new_empty(e.shape[0], 0)
        state = EdgeState(torch.cat([e, *others], dim=-1), e, r.to(e.dtype), envelope, nothing)
        if self.probe is None:
            return state
        extra = self.probe(state)
        if self.probe.feeds == "messages":
            return state._replace(spectral=extra)
        e = e + extra
        return state._replace(features=e, inputs=torch.cat([e, *others], dim=-1))


class MessageSlot(nn.Module):
    """Stands in for an upstream module that maps edge features to message weights; touches the l = 0 columns only."""

    def __init__(self, upstream: nn.Module, site: MessageSite, probes: list[nn.Module]) -> None:
        super().__init__()
        self.upstream = upstream
        self.gate = MessageGate(site, probes)

    def forward(self, state: EdgeState) -> Tensor:
        """Map the edge state to weights [E,W]."""
        return self.gate(self.upstream(state.features), state)


class MessageGate(nn.Module):
    """Apply a layer's message modules to the columns of its weights [E,W] that each asks for; l = 0 where none says.

    Columns are taken apart in their runs of l = 0 and l > 0, within the period after which these repeat (in Allegro
    once per channel), and joined again once: cheaper than indexing, above all in the derivatives.
    """

    def __init__(self, site: MessageSite, probes: list[nn.Module]) -> None:
        super().__init__()
        self.probe = nn.ModuleList(probes)
        self.period = _period(site.mask)
        self.runs = [len(list(run)) for _, run in groupby(site.mask[: self.period])]
        first = 0 if site.mask[0] else 1
        self.of_scope = {"l0": slice(first, None, 2), "tensor": slice(1 - first, None, 2)}

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Map weights [E,W] to weights [E,W]."""
        for scope, probes in groupby(self.probe, lambda probe: getattr(probe, "scope", "l0")):
            if scope == "weights":
                for probe in probes:
                    weights = probe(weights, state)
            else:
                weights = self._on_runs(self.of_scope[scope], list(probes), weights, state)
        return weights

    def _on_runs(self, which: slice, probes: list[nn.Module], weights: Tensor, state: EdgeState) -> Tensor:
        runs = list(weights.unflatten(-1, (-1, self.period)).split(self.runs, dim=-1))
        old = runs[which]
        columns = (old[0] if len(old) == 1 else torch.cat(old, dim=-1)).flatten(1)
        for probe in probes:
            columns = probe(columns, state)
        widths = self.runs[which]
        runs[which] = columns.unflatten(-1, (-1, sum(widths))).split(widths, dim=-1)
        return torch.cat(runs, dim=-1).flatten(1)


def _period(mask: tuple[bool, ...]) -> int:
    """The shortest length whose repetition makes the mask."""
    n = len(mask)
    return next(k for k in range(1, n + 1) if n % k == 0 and mask[:k] * (n // k) == mask)
