"""Surfaces whose answers are known: sums over pairs of a function given, sound or broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list

Function = Callable[[np.ndarray], np.ndarray]


class Pairs(Calculator):
    """E = ½ Σ e(r_ij), forces from f(r) = −e'(r), stress from the virial."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, energy: Function, force: Function, cutoff: float) -> None:
        super().__init__()
        self.functions, self.cutoff = (energy, force), cutoff

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        energy, force = self.functions
        i, d, D = self._pairs()
        pull = -force(d)[:, None] * D / d[:, None]
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pull)
        self.results = {"energy": 0.5 * energy(d).sum(), "forces": forces}
        if self.atoms.pbc.all():
            virial = 0.5 * np.einsum("ea,eb->ab", pull, D)
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial / self.atoms.get_volume())

    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.atoms.pbc.all():
            return neighbour_list("idD", self.atoms, self.cutoff)
        D = self.atoms.positions[None] - self.atoms.positions[:, None]
        d = np.linalg.norm(D, axis=-1)
        i, j = np.nonzero((d < self.cutoff) & (d > 0))
        return i, d[i, j], D[i, j]


def lennard_jones(epsilon: float = 0.3, sigma: float = 2.5, cutoff: float = 7.0) -> Pairs:
    """4ε((σ/r)¹² − (σ/r)⁶), shifted in energy and force to zero at the cutoff."""

    def bare(r):
        return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)

    def pull(r):
        return 24 * epsilon * (2 * (sigma / r) ** 12 - (sigma / r) ** 6) / r

    end = np.array(cutoff)
    return Pairs(lambda r: bare(r) - bare(end) + (r - cutoff) * pull(end), lambda r: pull(r) - pull(end), cutoff)


def added(base: Pairs, energy: Function, force: Function) -> Pairs:
    """The base with something on top."""
    return Pairs(lambda r: base.functions[0](r) + energy(r), lambda r: base.functions[1](r) + force(r), base.cutoff)


def headlines(outcome):
    """(value, when it is better, the reference's) of every headline of an outcome, as its JSON has them."""
    records = {name: number.record() for name, number in outcome.numbers.items()}
    keys = ("value", "better", "reference")
    return {name: tuple(record[key] for key in keys) for name, record in records.items() if "better" in record}
