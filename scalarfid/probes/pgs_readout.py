"""PGS-readout: a tapered exponential-of-semicircle (ES) expansion of the invariants that enter a readout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalarfid.errors import ScalarFidError
from scalarfid.probes.pgs_edge import zero_linear
from scalarfid.probes.registry import part
from scalarfid.sites import Attachment, ReadoutSite, Sites


@dataclass(frozen=True)
class PGSReadoutOptions:
    """Options of PGS-readout: D projected invariants, K centres each, for readouts of atoms and of edges.

    Attributes:
        atom: ``{channels: D, centres: K}`` where the readout acts on atoms.
        edge: the same where it acts on edges (Allegro), of which there are many more: keep it small.
        beta: sharpness β of the kernel.

    """

    atom: dict[str, int]
    edge: dict[str, int]
    beta: float


def es_window(x: Tensor, beta: float) -> Tensor:
    """ψ(x) = exp(β(√(1 − x²) − 1)) (1 − x²)⁴ for |x| < 1, else 0; C³ everywhere.

    The bare ES kernel (Barnett et al., arXiv 1808.06736) jumps by e^(−β) with infinite slope at |x| = 1; the fourth
    power removes both. Written as exp(β(√y − 1) + 4 ln y), which takes a third fewer operations. y = 1 − x² stops at
    an ε so small that ε⁴ is zero and ε⁻³ is not infinite: outside, ψ and its derivatives are zeros, not NaN.
    """
    epsilon = torch.finfo(x.dtype).tiny ** 0.28
    y = functional.threshold(1 - x**2, epsilon, epsilon)
    return torch.exp(torch.add(beta * torch.sqrt(y), torch.log(y), alpha=4) - beta)


class ESReadout(nn.Module):
    """s ← s + q·V(ψ(z) − ψ(0)), z = tanh(W s) ∈ (−1,1)^D, ψ_dk = ψ((z_d − μ_k)/w).

    μ_k is a uniform grid of K centres on [−1, 1] and w two grid steps; V starts at zero. q [M,1] takes the correction
    to zero with the last neighbour.
    """

    def __init__(self, site: ReadoutSite, channels: int, centres: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.project = nn.Linear(site.num_features, channels, bias=False)
        self.last = zero_linear(channels * centres, site.num_features)
        mu = torch.linspace(-1, 1, centres)
        self.half_width = 2 * 2 / (centres - 1)
        self.register_buffer("mu", mu, persistent=False)

    def psi(self, z: Tensor) -> Tensor:
        """Expand z [M,D] to [M, D·K]."""
        x = (z.unsqueeze(-1) - self.mu) / self.half_width
        return es_window(x, self.beta).flatten(1)

    def forward(self, s: Tensor, q: Tensor) -> Tensor:
        """Map s [M,C] and the window q [M,1] to [M,C]."""
        z = torch.tanh(self.project(s))
        return s + q * self.last(self.psi(z) - self.psi(torch.zeros_like(z[:1])))


@part("pgs_readout", PGSReadoutOptions)
def pgs_readout(options: PGSReadoutOptions, sites: Sites) -> Attachment:
    """PGS-readout on every readout."""
    modules = []
    for site in sites.readouts:
        size = readout_size(options, site)
        modules.append(ESReadout(site, size["channels"], size["centres"], options.beta))
    return Attachment(readouts=modules)


def readout_size(options: PGSReadoutOptions, site: ReadoutSite) -> dict[str, int]:
    """Return ``{channels, centres}`` for a readout of atoms or of edges."""
    size = dict(options.atom if site.per == "atom" else options.edge)
    if set(size) != {"channels", "centres"} or size["centres"] < 2:
        raise ScalarFidError(f"pgs_readout.{site.per}={size}: give channels and centres (at least 2).")
    return size
