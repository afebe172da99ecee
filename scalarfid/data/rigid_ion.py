"""LiF as rigid ions: full Ewald sum, Born–Mayer repulsion, damped dispersion, ZBL core; forces and stress by autograd.

E = E_Coulomb(q = ±1) + Σ_{i<j} φ(r_ij) w(r_ij), with

    φ(r) = b β exp((σ_i + σ_j − r)/ρ) − f_6(r/ρ) C_6/r⁶ − f_8(r/ρ) C_8/r⁸ + (1 − h(r; 0.5, 1.5)) ZBL(r)

f_n(x) = 1 − e^(−x) Σ_{k≤n} x^k/k! (Tang & Toennies 1984), h the C³ step from 0 to 1, w = 1 − h(r; r_c − 1.5, r_c).
Parameters: Fumi & Tosi, J. Phys. Chem. Solids 25, 31 (1964), as given by Sangster & Dixon, Adv. Phys. 25, 247 (1976).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from scalarfid.data.graphs import neighbours
from scalarfid.errors import ScalarFidError

COULOMB = units.Hartree * units.Bohr  # e²/4πε₀ in eV Å
CHARGE = {3: 1.0, 9: -1.0}
RADIUS = {3: 0.816, 9: 1.179}  # σ in Å
HARDNESS = 0.299  # ρ in Å
REPULSION = 0.338e-19 * units.J  # b in eV
# Li–Li, Li–F, F–F; C_6 in 1e-79 J m⁶ and C_8 in 1e-99 J m⁸, both of which are 1e-19 J in units of Å.
PAULING = (2.0, 1.375, 0.75)  # β
DISPERSION = {
    n: tuple(c * 1e-19 * units.J for c in values) for n, values in {6: (0.073, 0.8, 14.5), 8: (0.03, 0.6, 17.0)}.items()
}
ZBL = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))


def smooth_step(r: Tensor, start: float, end: float) -> Tensor:
    """C³ step h: 0 up to ``start``, 1 from ``end``, x⁴(35 − 84x + 70x² − 20x³) between."""
    x = ((r - start) / (end - start)).clamp(0, 1)
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)


def tang_toennies(x: Tensor, n: int) -> Tensor:
    """Damping f_n(x) = 1 − e^(−x) Σ_{k=0}^{n} x^k/k!."""
    return 1 - torch.exp(-x) * sum(x**k / math.factorial(k) for k in range(n + 1))


def short_range(r: Tensor, z_i: Tensor, z_j: Tensor, cutoff: float) -> Tensor:
    """φ(r) w(r) in eV for pairs at distance r [P] in Å with atomic numbers 3 and 9."""
    kind = ((z_i == 9).long() + (z_j == 9).long()).tolist()

    def table(values: tuple[float, ...]) -> Tensor:
        return r.new_tensor(values)[kind]

    sigma = torch.where(z_i == 9, RADIUS[9], RADIUS[3]) + torch.where(z_j == 9, RADIUS[9], RADIUS[3])
    energy = REPULSION * table(PAULING) * torch.exp((sigma - r) / HARDNESS)
    for n, coefficients in DISPERSION.items():
        energy = energy - tang_toennies(r / HARDNESS, n) * table(coefficients) / r**n
    screening = 0.8854 * units.Bohr / (z_i**0.23 + z_j**0.23)
    core = COULOMB * z_i * z_j / r * sum(a * torch.exp(-b * r / screening) for a, b in ZBL)
    energy = energy + core * (1 - smooth_step(r, 0.5, 1.5))
    return energy * (1 - smooth_step(r, cutoff - 1.5, cutoff))


class LiFIon(Calculator):
    """Rigid-ion LiF, periodic in all axes or in none; C³ in the positions.

    Energy in eV, forces in eV/Å, stress in eV/Å³ (Voigt, tensile positive; periodic cells only). A free ion has energy
    0. a₀ = 4.039 Å, B = 72.5 GPa.

    Args:
        cutoff: r_c of the short-range part in Å.
        alpha: Ewald splitting parameter in Å⁻¹.
        accuracy: both Ewald sums are cut where they are about erfc(accuracy).
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, cutoff: float = 8.0, alpha: float = 0.55, accuracy: float = 4.8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cutoff, self.alpha, self.accuracy = cutoff, alpha, accuracy

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: tuple[str, ...] = ("energy",),
        system_changes: list[str] = all_changes,
    ) -> None:
        """Energy, forces and (periodic) stress of Li and F ions; the derivatives come from autograd."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        periodic = bool(atoms.pbc.all())
        if set(atoms.numbers.tolist()) - CHARGE.keys() or atoms.pbc.any() != periodic:
            raise ScalarFidError(
                f"the rigid-ion potential is for Li and F, periodic in all axes or in none; "
                f"got {atoms.symbols} with pbc {atoms.pbc.tolist()}"
            )
        pos = torch.tensor(atoms.positions, requires_grad=True)
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        deformation = torch.eye(3, dtype=torch.float64) + (strain + strain.T) / 2
        with torch.enable_grad():
            energy = self._energy(pos @ deformation, torch.tensor(atoms.cell[:]) @ deformation, periodic)
            gradients = torch.autograd.grad(energy, (pos, strain), allow_unused=True, materialize_grads=True)
        value = energy.detach().item()
        self.results = {"energy": value, "free_energy": value, "forces": -gradients[0].numpy()}
        if periodic:
            self.results["stress"] = full_3x3_to_voigt_6_stress(gradients[1].numpy() / atoms.get_volume())

    def _energy(self, pos: Tensor, cell: Tensor, periodic: bool) -> Tensor:
        z = torch.tensor(self.atoms.numbers)
        charge = torch.where(z == 9, CHARGE[9], CHARGE[3]).double()
        i, j, r = self._pairs(pos, cell, self.cutoff)
        energy = 0.5 * short_range(r, z[i].double(), z[j].double(), self.cutoff).sum()
        if not periodic:
            i, j = torch.triu_indices(len(z), len(z), 1)
            return energy + COULOMB * (charge[i] * charge[j] / (pos[i] - pos[j]).norm(dim=1)).sum()
        return energy + self._ewald(pos, cell, charge)

    def _pairs(self, pos: Tensor, cell: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
        edges, shifts = neighbours(self.atoms.positions, self.atoms.cell[:], self.atoms.pbc, cutoff)
        i, j = torch.from_numpy(edges)
        return i, j, (pos[j] - pos[i] + torch.from_numpy(shifts) @ cell).norm(dim=1)

    def _ewald(self, pos: Tensor, cell: Tensor, charge: Tensor) -> Tensor:
        """Real-space, reciprocal, self and background terms of Ewald's sum."""
        alpha, volume = self.alpha, torch.linalg.det(cell).abs()
        i, j, r = self._pairs(pos, cell, self.accuracy / alpha)
        real = 0.5 * (charge[i] * charge[j] * torch.erfc(alpha * r) / r).sum()
        k = self._wave_numbers() @ (2 * math.pi * torch.linalg.inv(cell).T)
        k2 = k.square().sum(1)
        phase = k @ pos.T
        structure = (torch.cos(phase) @ charge).square() + (torch.sin(phase) @ charge).square()
        reciprocal = 4 * math.pi / volume * (torch.exp(-k2 / (4 * alpha**2)) / k2 * structure).sum()
        own = alpha / math.sqrt(math.pi) * charge.square().sum()
        background = math.pi / (2 * volume * alpha**2) * charge.sum() ** 2
        return COULOMB * (real + reciprocal - own - background)

    def _wave_numbers(self) -> Tensor:
        """One of each ±k pair with |k| below 2·alpha·accuracy, as whole numbers [K,3] of the reciprocal lattice."""
        limit = 2 * self.alpha * self.accuracy
        largest = np.ceil(limit * np.linalg.norm(self.atoms.cell[:], axis=1) / (2 * math.pi)).astype(int)
        grid = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in largest], indexing="ij"), -1).reshape(-1, 3)
        half = grid[len(grid) // 2 + 1 :]
        k = half @ (2 * math.pi * np.linalg.inv(self.atoms.cell[:]).T)
        return torch.tensor(half[np.linalg.norm(k, axis=1) < limit], dtype=torch.float64)
