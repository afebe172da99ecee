"""PAN: coordination-aware amplitude of l = 0 messages (claims: arXiv 2606.15892; form: ours)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarfid.probes.registry import check_choice, part
from scalarfid.sites import Attachment, EdgeSite, EdgeState, MessageSite, Sites


@dataclass(frozen=True)
class GateOptions:
    """Options of a message gate.

    Attributes:
        hidden: width of the gate's hidden layer.
        per: ``edge`` one amplitude for all l = 0 weights, ``path`` one for each path, ``channel`` one for each weight.

    """

    hidden: int
    per: str


@dataclass(frozen=True)
class PANOptions(GateOptions):
    """Options of PAN: those of a gate, and two more.

    Attributes:
        gate: ``tanh`` (a = 1 + tanh, ours) or ``sigmoid`` (the public snapshot's form, about ½ at initialisation).
        coordination: whether the gate sees ĉ_i − 1.

    """

    gate: str
    coordination: bool


class MessageAmplitude(nn.Module):
    """m⁰_ij ← a_ij m⁰_ij with a_ij = 1 + tanh W₂ SiLU(W₁ [e_ij, species_i, species_j, ĉ_i − 1] + b₁) + b₂.

    W₂ and b₂ start at zero: a = 1. Multiplying the weights of l = 0 paths is multiplying their messages.
    """

    def __init__(self, num_inputs: int, site: MessageSite, options: GateOptions) -> None:
        super().__init__()
        groups = _groups(site, options.per)
        self.hidden = nn.Linear(num_inputs, options.hidden)
        self.last = nn.Linear(options.hidden, max(groups) + 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        expand = torch.tensor(groups) if max(groups) > 0 else None
        self.register_buffer("expand", expand, persistent=False)

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Map l = 0 weights [E,W₀] to a ⊙ weights [E,W₀]."""
        a = 1 + torch.tanh(self.last(functional.silu(self.hidden(state.inputs))))
        return weights * (a if self.expand is None else a[:, self.expand])


class SnapshotAmplitude(nn.Module):
    """The public snapshot's gate a_ij = σ(W₂ SiLU(W₁ [e_ij; r_ij])): no coordination, not 1 at initialisation."""

    def __init__(self, site: EdgeSite, options: GateOptions) -> None:
        super().__init__()
        self.hidden = nn.Linear(site.num_features + 1, options.hidden)
        self.last = nn.Linear(options.hidden, 1)

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Map l = 0 weights [E,W₀] to a ⊙ weights [E,W₀]."""
        x = torch.cat([state.features, state.r], dim=-1)
        return weights * torch.sigmoid(self.last(functional.silu(self.hidden(x))))


def _groups(site: MessageSite, per: str) -> list[int]:
    """For each l = 0 weight the index of its amplitude."""
    if per == "edge":
        return [0] * site.num_scalar
    if per == "path":
        return [i for i, width in enumerate(site.paths) for _ in range(width)]
    return list(range(site.num_scalar))


def amplitudes(options: GateOptions, sites: Sites, *, width: int) -> list[list[nn.Module]]:
    """One :class:`MessageAmplitude` per layer; ``width`` is the number of coordination columns."""
    num_inputs = sites.edge.num_features + 2 * sites.edge.num_species + width
    return [[MessageAmplitude(num_inputs, site, options)] for site in sites.messages]


@part("pan", PANOptions, order=2)
def pan(options: PANOptions, sites: Sites) -> Attachment:
    """PAN on every layer's l = 0 messages."""
    check_choice("pan", "gate", options.gate, ("tanh", "sigmoid"))
    check_choice("pan", "per", options.per, ("edge", "path", "channel"))
    if options.gate == "sigmoid":
        return Attachment(messages=[[SnapshotAmplitude(sites.edge, options)] for _ in sites.messages], strict=False)
    width = sites.coordination_width if options.coordination else 1
    return Attachment(messages=amplitudes(options, sites, width=width), coordination=options.coordination)
