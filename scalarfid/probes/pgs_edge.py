"""PGS-edge: spectral features of the edge length, added to the weights of l = 0 messages as a residual."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scalarfid.errors import ScalarFidError
from scalarfid.probes.registry import check_choice, part
from scalarfid.sites import Attachment, EdgeSite, EdgeState, MessageSite, Sites


@dataclass(frozen=True)
class PGSEdgeOptions:
    """Options of PGS-edge.

    Attributes:
        num_bessel: how many Bessel functions beyond the backbone's B.
        num_fourier: how many pairs cos ω_k u, sin ω_k u with learnable ω_k.
        paths: ``l0`` adds to the weights of l = 0 messages only; ``tensor`` to those of l > 0 only and ``weights`` to
            those of all, which ask whether the place matters; ``all`` adds to e_ij, which feeds every path.
        form: ``residual`` (ours) or ``public2025`` (the snapshot's: replaces the radial network; jumps at r_c).

    """

    num_bessel: int
    num_fourier: int
    paths: str
    form: str


class SpectralBasis(nn.Module):
    """g(e_ij) ⊙ φ(r_ij), [E,K] with K = num_bessel + 2·num_fourier.

    φ = f_c(u)·{√(2/r_c) sin(nπu)/r for n = B+1 …, cos ω_k u, sin ω_k u}, u = r/r_c, ω_k from (k − ½)π, learnable;
    g = σ(W e). Smooth at the cutoff because f_c multiplies everything.
    """

    feeds = "messages"

    def __init__(self, site: EdgeSite, options: PGSEdgeOptions) -> None:
        super().__init__()
        self.cutoff = site.cutoff
        self.width = options.num_bessel + 2 * options.num_fourier
        bessel = torch.arange(self.width) < options.num_bessel
        cosine = ~bessel & (torch.arange(self.width) < options.num_bessel + options.num_fourier)
        n = torch.arange(site.num_bessel + 1, site.num_bessel + options.num_bessel + 1)
        self.register_buffer("n_pi", n.to(torch.get_default_dtype()) * math.pi, persistent=False)
        self.register_buffer("shift", cosine.to(self.n_pi) * math.pi / 2, persistent=False)
        self.register_buffer("scale", bessel.to(self.n_pi) * math.sqrt(2 / self.cutoff), persistent=False)
        self.register_buffer("fourier", (~bessel).to(self.n_pi), persistent=False)
        self.omega = nn.Parameter((torch.arange(1, options.num_fourier + 1) - 0.5) * math.pi)
        self.gate = nn.Linear(site.num_features, self.width, bias=False)

    def forward(self, state: EdgeState) -> Tensor:
        """Map the edge state to [E,K]."""
        frequencies = torch.cat([self.n_pi, self.omega, self.omega])
        sines = torch.sin(torch.addcmul(self.shift, frequencies, state.r / self.cutoff))  # cos x = sin(x + π/2)
        amplitude = state.envelope * torch.addcmul(self.fourier, self.scale, state.r.reciprocal())
        return torch.sigmoid(self.gate(state.features)) * amplitude * sines


class FeatureResidual(nn.Module):
    """Δe = U x [E,F] for ``paths=all``: added to the edge features, U bias-free and zero at start."""

    feeds = "features"

    def __init__(self, basis: nn.Module, site: EdgeSite) -> None:
        super().__init__()
        self.basis = basis
        self.last = zero_linear(basis.width, site.num_features)

    def forward(self, state: EdgeState) -> Tensor:
        """Map the edge state to [E,F]."""
        return self.last(self.basis(state))


class MessageResidual(nn.Module):
    """w⁰ ← w⁰ + U_k x: one bias-free U per layer, zero at start, on the columns x [E,K] of the edge module.

    ``scope`` says whose weights: those of l = 0 messages (``l0``), of the others (``tensor``), or of all (``weights``).
    """

    def __init__(self, num_columns: int, num_weights: int, scope: str) -> None:
        super().__init__()
        self.scope = scope
        self.last = zero_linear(num_columns, num_weights)

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Map the weights of that scope, [E,W₀] for l = 0, to new ones."""
        return torch.addmm(weights, state.spectral, self.last.weight.T)


class SnapshotRadial(nn.Module):
    """The public snapshot's radial network, in place of upstream's: all W weights, no envelope on the high frequencies.

    φ_n = max(1−u,0)⁵ j₀(nπu), n = 1..12; ψ_k = 0.749 cos ω_k u, 4 learnable ω_k in [0, π]; x = LayerNorm(e);
    s = W_s([φ,ψ] ⊙ σ(W GELU(W x))); out = W_h s + σ(w·x + b) W_r MLP([s; x]). It does not vanish at r_c.
    """

    scope = "weights"

    def __init__(
        self, edge: EdgeSite, site: MessageSite, *, hidden: int = 64, num_low: int = 12, num_high: int = 4
    ) -> None:
        super().__init__()
        self.cutoff = edge.cutoff
        width, num_features, out = num_low + num_high, edge.num_features, len(site.mask)
        self.register_buffer("n", torch.arange(1, num_low + 1).to(torch.get_default_dtype()), persistent=False)
        self.omega = nn.Parameter(torch.linspace(0, math.pi, num_high))
        self.norm = nn.LayerNorm(num_features)
        self.gate = nn.Sequential(nn.Linear(num_features, width), nn.GELU(), nn.Linear(width, width), nn.Sigmoid())
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, out)
        self.mlp = nn.Sequential(nn.Linear(width + num_features, hidden), nn.SiLU())
        self.radial = nn.Linear(hidden, out)
        self.switch = nn.Sequential(nn.Linear(num_features, 1), nn.Sigmoid())

    def forward(self, weights: Tensor, state: EdgeState) -> Tensor:
        """Return new weights [E,W]; those of the upstream network are dropped."""
        u = state.r / self.cutoff
        low = (1 - u).clamp(min=0) ** 5 * torch.sinc(self.n * u)
        high = 0.749 * torch.cos(self.omega * u)
        x = self.norm(state.features)
        s = self.mix(torch.cat([low, high], dim=-1) * self.gate(x))
        out = self.head(s) + self.switch(x) * self.radial(self.mlp(torch.cat([s, x], dim=-1)))
        return out.to(weights.dtype)


def zero_linear(num_in: int, num_out: int) -> nn.Linear:
    """A bias-free linear map that starts at zero."""
    linear = nn.Linear(num_in, num_out, bias=False)
    nn.init.zeros_(linear.weight)
    return linear


def check_options(name: str, options: PGSEdgeOptions, forms: tuple[str, ...]) -> None:
    """Refuse a form or paths that ``name`` does not have."""
    check_choice(name, "form", options.form, forms)
    check_choice(name, "paths", options.paths, ("l0", "tensor", "weights", "all"))


def residuals(basis: nn.Module, sites: Sites, paths: str) -> Attachment:
    """Mount ``basis`` on the edge site, with one :class:`MessageResidual` a layer, or a :class:`FeatureResidual`.

    Raises:
        ScalarFidError: if no layer has such paths.
    """
    if paths == "all":
        return Attachment(edge=FeatureResidual(basis, sites.edge))
    counts = [site.count(paths) for site in sites.messages]
    if not any(counts):
        raise ScalarFidError(f"paths={paths} adds to messages that this backbone does not have; take paths=l0.")
    modules = [[MessageResidual(basis.width, count, paths)] if count else [] for count in counts]
    return Attachment(edge=basis, messages=modules)


@part("pgs_edge", PGSEdgeOptions, order=1)
def pgs_edge(options: PGSEdgeOptions, sites: Sites) -> Attachment:
    """PGS-edge in one of its forms."""
    check_options("pgs_edge", options, ("residual", "public2025"))
    if options.form == "public2025":
        return Attachment(messages=[[SnapshotRadial(sites.edge, site)] for site in sites.messages], strict=False)
    return residuals(SpectralBasis(sites.edge, options), sites, options.paths)
