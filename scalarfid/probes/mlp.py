"""Matched controls: the same sites and residual forms, without coordination and without a spectral basis.

A gain over the bare backbone proves only that more parameters help; a gain over these says more. Widths are solved so
that each control has as many parameters as its probe (within 1 % per kind of site).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarfid.probes.pan import GateOptions, amplitudes
from scalarfid.probes.pgs_edge import PGSEdgeOptions, check_options, residuals, zero_linear
from scalarfid.probes.pgs_readout import PGSReadoutOptions, readout_size
from scalarfid.probes.registry import part
from scalarfid.sites import Attachment, EdgeSite, EdgeState, ReadoutSite, Sites


class RadialFeatures(nn.Module):
    """f_c(u)·SiLU(W e) [E,H], the control's columns in place of PGS-edge's g(e) ⊙ φ(r)."""

    feeds = "messages"

    def __init__(self, site: EdgeSite, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(site.num_features, width, bias=False)

    def forward(self, state: EdgeState) -> Tensor:
        """Map the edge state to [E,H]."""
        return state.envelope * functional.silu(self.project(state.features))


class ReadoutMLP(nn.Module):
    """s ← s + g·q·V(SiLU(W s + b) − SiLU(b)), V zero at start."""

    def __init__(self, site: ReadoutSite, width: int, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.project = nn.Linear(site.num_features, width)
        self.last = zero_linear(width, site.num_features)

    def forward(self, s: Tensor, q: Tensor) -> Tensor:
        """Map s [M,C] and the window q [M,1] to [M,C]."""
        x = functional.silu(self.project(s)) - functional.silu(self.project.bias)
        return torch.addmm(s, q * x, self.last.weight.T, alpha=self.gain)


def matched_edge_width(options: PGSEdgeOptions, sites: Sites) -> int:
    """H with H·(F + G) closest to PGS-edge's K·(F + G) + (number of ω), G what a column feeds: ΣW₀ for l = 0, or F."""
    num_features, paths = sites.edge.num_features, options.paths
    per_column = num_features + (num_features if paths == "all" else sum(site.count(paths) for site in sites.messages))
    target = (options.num_bessel + 2 * options.num_fourier) * per_column + options.num_fourier
    return round(target / per_column)


def matched_readout_width(channels: int, centres: int, num_features: int) -> int:
    """H with H·(2C + 1) closest to PGS-readout's D·(1 + K)·C."""
    return round(channels * (1 + centres) * num_features / (2 * num_features + 1))


@part("mlp_message", GateOptions, order=2)
def mlp_message(options: GateOptions, sites: Sites) -> Attachment:
    """PAN's gate with 0 in place of ĉ_i − 1: the same parameters exactly."""
    return Attachment(messages=amplitudes(options, sites, width=1))


@part("mlp_edge", PGSEdgeOptions, order=1)
def mlp_edge(options: PGSEdgeOptions, sites: Sites) -> Attachment:
    """Radial features from the backbone's own e_ij, where PGS-edge adds its spectral ones.

    Raises:
        ScalarFidError: for the snapshot's form, which has no control.
    """
    check_options("mlp_edge", options, ("residual",))
    return residuals(RadialFeatures(sites.edge, matched_edge_width(options, sites)), sites, options.paths)


@part("mlp_readout", PGSReadoutOptions)
def mlp_readout(options: PGSReadoutOptions, sites: Sites) -> Attachment:
    """A plain residual layer where PGS-readout expands."""
    modules = []
    for site in sites.readouts:
        size = readout_size(options, site)
        width = matched_readout_width(size["channels"], size["centres"], site.num_features)
        modules.append(ReadoutMLP(site, width, options.gain))
    return Attachment(readouts=modules)
