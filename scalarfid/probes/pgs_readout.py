"""PGS-readout: a tapered exponential-of-semicircle (ES) expansion of the invariants that enter a readout."""

from __future__ import annotations

import math
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
        gain: factor g of the correction, which changes no function that V can make but how far a step of Adam moves it.

    """

    atom: dict[str, int]
    edge: dict[str, int]
    beta: float
    gain: float = 1.0


def es_window(y: Tensor) -> Tensor:
    """e^√y y⁴ for y > 0, else 0: C³ everywhere.

    With y = β²(1 − x²) it is e^β β⁸ ψ(x), ψ(x) = exp(β(√(1 − x²) − 1)) (1 − x²)⁴ for |x| < 1. The bare ES kernel
    (Barnett et al., arXiv 1808.06736) jumps by e^(−β) with infinite slope at |x| = 1; the fourth power removes both.
    Written as exp(√y + 4 ln y), which takes fewest operations. y stops at an ε so small that ε⁴ is zero and ε⁻³ is not
    infinite: outside, the window and its derivatives are zeros, not NaN.
    """
    epsilon = torch.finfo(y.dtype).tiny ** 0.3
    y = functional.threshold(y, epsilon, epsilon)
    return torch.exp(torch.add(torch.sqrt(y), torch.log(y), alpha=4))


class ESReadout(nn.Module):
    """s ← s + g·q·V(ψ(z) − ψ(0)), z = tanh(W s) ∈ (−1,1)^D, ψ_dk = ψ((z_d − μ_k)/w).

    μ_k is a uniform grid of K centres on [−1, 1] and w two grid steps; V starts at zero. q [M,1] takes the correction
    to zero with the last neighbour.
    """

    def __init__(self, site: ReadoutSite, channels: int, centres: int, beta: float, gain: float) -> None:
        super().__init__()
        self.project = nn.Linear(site.num_features, channels, bias=False)
        self.last = zero_linear(channels * centres, site.num_features)
        # y_dk = β²(1 − (z_d − μ_k)²/w²) = constant_k + slope_k z_d − sharpness z_d²
        mu = torch.linspace(-1, 1, centres)
        self.sharpness = (beta * (centres - 1) / 4) ** 2
        self.register_buffer("constant", beta**2 - self.sharpness * mu**2, persistent=False)
        self.register_buffer("slope", 2 * self.sharpness * mu, persistent=False)
        self.norm = gain * math.exp(-beta) / beta**8

    def psi(self, z: Tensor) -> Tensor:
        """Expand z [M,D] to e^β β⁸ ψ [M, D·K]."""
        y = torch.addcmul((-self.sharpness * z**2).unsqueeze(-1), z.unsqueeze(-1), self.slope) + self.constant
        return es_window(y).flatten(1)

    def forward(self, s: Tensor, q: Tensor) -> Tensor:
        """Map s [M,C] and the window q [M,1] to [M,C]."""
        z, v, q = torch.tanh(self.project(s)), self.last.weight, self.norm * q
        at_zero = es_window(self.constant)
        if v.shape[1] < v.shape[0]:  # q multiplies the narrower of ψ and V ψ
            return torch.addmm(s, q * (self.psi(z) - at_zero.repeat(z.shape[1])), v.T)
        v_at_zero = v.unflatten(1, (-1, len(at_zero))).sum(1) @ at_zero
        return torch.addcmul(s, q, functional.linear(self.psi(z), v, -v_at_zero))


@part("pgs_readout", PGSReadoutOptions)
def pgs_readout(options: PGSReadoutOptions, sites: Sites) -> Attachment:
    """PGS-readout on every readout."""
    modules = []
    for site in sites.readouts:
        size = readout_size(options, site)
        modules.append(ESReadout(site, size["channels"], size["centres"], options.beta, options.gain))
    return Attachment(readouts=modules)


def readout_size(options: PGSReadoutOptions, site: ReadoutSite) -> dict[str, int]:
    """Return ``{channels, centres}`` for a readout of atoms or of edges."""
    size = dict(options.atom if site.per == "atom" else options.edge)
    fits = set(size) == {"channels", "centres"} and all(type(number) is int for number in size.values())
    if not fits or size["channels"] < 1 or size["centres"] < 2:
        raise ScalarFidError(f"pgs_readout.{site.per}={size}: give channels (at least 1) and centres (at least 2).")
    return size
