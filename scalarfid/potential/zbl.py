"""The universal screened nuclear repulsion of Ziegler, Biersack and Littmark, the same for every backbone."""

from __future__ import annotations

import torch
from ase import units
from torch import Tensor, nn

from scalarfid.data.coordination import covalent_sums, polynomial_cutoff

COULOMB = units.Hartree * units.Bohr  # e²/4πε₀ in eV Å
SCREENING = 0.8854 * units.Bohr  # Å
PHI = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))


class ZBL(nn.Module):
    """E_i = ½ Σ_j f_c(r/R_ij) (e²/4πε₀) Z_i Z_j φ(r/a_ij)/r, in eV.

    φ(x) = 0.18175 e^(−3.1998x) + 0.50986 e^(−0.94229x) + 0.28022 e^(−0.4029x) + 0.02817 e^(−0.20162x) and
    a_ij = 0.8854 a₀/(Z_i^0.23 + Z_j^0.23) (Ziegler, Biersack, Littmark 1985). The C² envelope f_c (p = 6) ends at R_ij,
    the sum of covalent radii, or at the graph's cutoff if that is shorter.
    """

    def __init__(self, elements: list[int], cutoff: float) -> None:
        super().__init__()
        z = torch.tensor(elements, dtype=torch.float64)
        self.register_buffer("z", z, persistent=False)
        self.register_buffer("reach", covalent_sums(elements).clamp(max=cutoff), persistent=False)

    def forward(self, r: Tensor, species: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Map lengths r [E] in Å (float64) and species [N] to energies [N] in eV."""
        zi, zj = self.z[species[centre]], self.z[species[neighbour]]
        x = r * (zi**0.23 + zj**0.23) / SCREENING
        phi = sum(c * torch.exp(-d * x) for c, d in PHI)
        envelope = polynomial_cutoff(r / self.reach[species[centre], species[neighbour]])
        pair = 0.5 * COULOMB * zi * zj * phi / r * envelope
        return r.new_zeros(species.shape[0]).index_add(0, centre, pair)
