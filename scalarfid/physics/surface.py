"""A potential-energy surface to ask: one of ours, many frames in one call, or any ASE calculator, one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.data import atomic_numbers
from numpy.typing import NDArray

from scalarfid.calculator import ScalarFidCalculator
from scalarfid.data import BATCH_EDGES, build_graph, by_edges, joined
from scalarfid.data.reference import reference
from scalarfid.errors import ScalarFidError
from scalarfid.potential import Potential

LEAST = 10
"""Points of a scan with an answer of the reference, below which nothing is compared with it."""
_METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")  # EMT's H, C, N and O are "just for fun"
ELEMENTS: dict[str, frozenset[int]] = {
    "ag_emt": frozenset(atomic_numbers[symbol] for symbol in _METALS),
    "si_sw": frozenset({14}),
    "si_kumagai": frozenset({14}),
    "lif_ion": frozenset({3, 9}),
    "xtb": frozenset(range(1, 87)),
}
"""Atomic numbers that an in-process reference potential has parameters for, by its name."""
MOLECULES_ONLY = ("xtb",)
"""References that take a cell at the Γ point alone, which is no crystal."""


@dataclass(frozen=True)
class Answers:
    """What a surface says of B frames.

    Attributes:
        energy: [B] in eV.
        forces: B arrays [N_b,3] in eV/Å.
        stress: [B,3,3] in eV/Å³, tensile positive; None if not asked for.
    """

    energy: NDArray[np.float64]
    forces: list[NDArray[np.float64]]
    stress: NDArray[np.float64] | None = None


class Surface(Protocol):
    """Energy, forces and stress of frames.

    Attributes:
        name: for tables.
        cutoff: r_c in Å, None where it is not known.
    """

    name: str
    cutoff: float | None

    def __call__(self, frames: Sequence[Atoms], *, stress: bool = False) -> Answers:
        """Answer for every frame."""
        ...

    def calculator(self) -> Calculator:
        """Return an ASE calculator of the same surface, for libraries that want one."""
        ...

    def at(self, dtype: str) -> Surface | None:
        """Return the same surface computed in ``dtype`` (float32 or float64), None where there is no such choice."""
        ...


class OfPotential:
    """A potential of ours: as many frames at a time as make ``max_edges`` edges.

    Args:
        potential: computes in its own precision.
        name: for tables.
        max_edges: of a batch; changes nothing but speed and memory. Small batches are faster on a CPU, large ones on a
            GPU.
        compile: whether its calculators are compiled, for long molecular dynamics.
    """

    def __init__(
        self, potential: Potential, name: str = "model", *, max_edges: int = BATCH_EDGES, compile: bool = False
    ) -> None:
        self.potential, self.name, self.max_edges, self.compile = potential.eval(), name, max_edges, compile
        self.cutoff: float | None = potential.cutoff
        self._calculator: Calculator | None = None

    def __call__(self, frames: Sequence[Atoms], *, stress: bool = False) -> Answers:
        """Answer for every frame, in batches."""
        device = self.potential.e0.device
        energy, forces, stresses = [], [], []
        for graphs in by_edges([build_graph(atoms, self.potential.cutoff) for atoms in frames], self.max_edges):
            out = self.potential(joined(graphs).to(device), stress=stress)
            found = {key: value.cpu().numpy() for key, value in out.items()}
            energy.append(found["energy"])
            forces += np.split(found["forces"], np.cumsum([graph.num_nodes for graph in graphs])[:-1])
            stresses += [found["stress"]] if stress else []
        return Answers(np.concatenate(energy), forces, np.concatenate(stresses) if stress else None)

    def calculator(self) -> Calculator:
        """ASE calculator in the potential's own precision: always the same, so that sizes are compiled once."""
        if self._calculator is None:
            settings = {"dtype": self.potential.config["dtype"], "device": self.potential.e0.device}
            self._calculator = ScalarFidCalculator(self.potential, compile=self.compile, **settings)
        return self._calculator

    def at(self, dtype: str) -> Surface | None:
        """Itself, or of a copy in the other precision."""
        if dtype == self.potential.config["dtype"]:
            return self
        other = self.potential.with_dtype(dtype)
        return OfPotential(other, self.name, max_edges=self.max_edges, compile=self.compile)


class OfCalculator:
    """Any ASE calculator, frame by frame."""

    def __init__(self, calculator: Calculator, name: str | None = None, cutoff: float | None = None) -> None:
        self._calculator, self.cutoff = calculator, cutoff
        self.name = name or type(calculator).__name__

    def __call__(self, frames: Sequence[Atoms], *, stress: bool = False) -> Answers:
        """Answer for every frame; the frames keep the calculators they have."""
        energy, forces, stresses = [], [], []
        for frame in frames:
            atoms = frame.copy()
            atoms.calc = self._calculator
            energy.append(atoms.get_potential_energy())
            forces.append(atoms.get_forces())
            stresses += [atoms.get_stress(voigt=False)] if stress else []
        return Answers(np.array(energy), forces, np.array(stresses) if stress else None)

    def calculator(self) -> Calculator:
        """Return the calculator itself."""
        return self._calculator

    def at(self, dtype: str) -> Surface | None:
        """Itself in float64; a calculator has the precision that it has."""
        return self if dtype == "float64" else None


class OfReference(OfCalculator):
    """An in-process reference potential by its name.

    Attributes:
        mark: identifies it with its settings and its package's version, so that what it said can be kept on disk.
        elements: atomic numbers that it knows.
        crystals: whether it answers for them.

    Raises:
        ScalarFidError: no reference potential has this name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(reference(name), name)
        package = type(self._calculator).__module__.partition(".")[0]
        settings = repr(sorted(self._calculator.parameters.items()))
        self.mark = f"{name}-{package}-{version(package)}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"
        self.elements, self.crystals = ELEMENTS[name], name not in MOLECULES_ONLY

    def __call__(self, frames: Sequence[Atoms], *, stress: bool = False) -> Answers:
        """Answer for every frame.

        Raises:
            CalculationFailed: a crystal, of a reference for molecules.
        """
        if not self.crystals and any(frame.pbc.any() for frame in frames):
            raise CalculationFailed(f"{self.name} answers for molecules only")
        return super().__call__(frames, stress=stress)


def answers_or_nan(surface: Surface, frames: Sequence[Atoms], *, stress: bool = False) -> Answers:
    """Frame by frame; NaN where the surface finds no answer, as where GFN2-xTB does not converge."""
    found = [_answer_or_nan(surface, frame, stress=stress) for frame in frames]
    forces = [forces for answers in found for forces in answers.forces]
    stresses = np.concatenate([answers.stress for answers in found]) if stress else None
    return Answers(np.concatenate([answers.energy for answers in found]), forces, stresses)


def _answer_or_nan(surface: Surface, frame: Atoms, *, stress: bool) -> Answers:
    try:
        return surface([frame], stress=stress)
    except CalculationFailed:
        energy, forces, pressure = (np.full(shape, np.nan) for shape in ((1,), (len(frame), 3), (1, 3, 3)))
        return Answers(energy, [forces], pressure if stress else None)


def surface(of: Potential | Calculator | str, *, dtype: str = "float64", compile: bool = False) -> Surface:
    """Make a surface of a potential, a calculator, or the name of an in-process reference potential.

    ``dtype`` and ``compile`` are a potential's.

    Raises:
        ScalarFidError: no reference potential has this name.
    """
    if isinstance(of, Potential):
        return OfPotential(of.with_dtype(dtype), compile=compile)
    if isinstance(of, str):
        return OfReference(of)
    if isinstance(of, Calculator):
        return OfCalculator(of)
    raise ScalarFidError(f"{of!r} is no potential-energy surface; give a potential, an ASE calculator or a name.")
