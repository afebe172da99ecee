"""Coordination numbers: c_i = Σ_j S(r_ij), smooth in the edge lengths.

S is the C² quintic step from 1 at r_on to 0 at r_off. ``switch="covalent"`` (the default) counts bonded neighbours,
r_on = 1.15 d_ij and r_off = min(1.45 d_ij, r_c) with d_ij the sum of ASE's covalent radii; ``switch="cutoff"`` counts
everything with the backbone's own envelope f_c. Perfect fcc Ag has c = 12 and diamond Si c = 4.
"""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from torch import Tensor
from torch.nn import functional

ON, OFF = 1.15, 1.45


def polynomial_cutoff(u: Tensor, p: float = 6.0) -> Tensor:
    """Envelope f_c(u) = 1 − ½(p+1)(p+2)u^p + p(p+2)u^(p+1) − ½p(p+1)u^(p+2) for u < 1, else 0 (arXiv 2003.03123).

    Args:
        u: r / r_c, any shape, dimensionless.
        p: the power; f_c, f_c' and f_c'' vanish at u = 1.
    """
    f = 1 - (p + 1) * (p + 2) / 2 * u**p + p * (p + 2) * u ** (p + 1) - p * (p + 1) / 2 * u ** (p + 2)
    return f * (u < 1)


def quintic_step(r: Tensor, r_on: Tensor, r_off: Tensor) -> Tensor:
    """C² step: 1 for r ≤ r_on, 0 for r ≥ r_off, between 1 − x³(10 − 15x + 6x²) with x = (r − r_on)/(r_off − r_on)."""
    x = functional.hardtanh((r - r_on) / (r_off - r_on), 0, 1)  # a clamp whose derivative is one operation
    return 1 - x**3 * (10 + x * (6 * x - 15))


def covalent_sums(elements: list[int]) -> Tensor:
    """Sums of covalent radii d [S,S] in Å (ASE's table, Cordero 2008) for the atomic numbers ``elements``, float64."""
    radii = torch.tensor([covalent_radii[z] for z in elements], dtype=torch.float64)
    return radii[:, None] + radii[None, :]


def bond_weights(r: Tensor, d: Tensor, cutoff: float) -> Tensor:
    """S(r_ij) [E] for edge lengths r [E] and covalent sums d [E] in Å; r_off never exceeds the cutoff."""
    return quintic_step(r, *bond_ends(d, cutoff))


def bond_ends(d: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """(r_on, r_off) in Å of bonds whose covalent radii sum to d, any shape."""
    r_off = (OFF * d).clamp(max=cutoff)
    return torch.minimum(ON * d, ON / OFF * r_off), r_off


def coordination_numbers(weights: Tensor, centre: Tensor, num_atoms: int) -> Tensor:
    """c_i = Σ_j S(r_ij): weights [E] or [E,1] summed on their centres [E] into [N] or [N,1]."""
    return weights.new_zeros((num_atoms, *weights.shape[1:])).index_add(0, centre, weights)
