"""What questions about crystals share: relaxation, the rule for errors, published values that stand beside."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

STEPS = 300
"""Of a relaxation, at most."""

# Si: Bartók et al., Phys. Rev. X 8, 041048 (2018): DFT (PW91) and the Gaussian approximation potential fitted to it.
# LiF: PBE with the settings of the labels of this project (experiments/physics/lif_dft.py).
_PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "Si diamond": {
        "PW91": {"a0_A": 5.4610, "C11_GPa": 153.3, "C12_GPa": 56.3, "C44_GPa": 72.2, "gamma_optical_THz": 15.085},
        "GAP-18": {"a0_A": 5.4608, "C11_GPa": 151.4, "C12_GPa": 57.5, "C44_GPa": 67.9, "gamma_optical_THz": 14.761},
    },
    "LiF rocksalt": {
        "PBE": {"a0_A": 4.0564, "C11_GPa": 109.7, "C12_GPa": 45.9, "C44_GPa": 60.9, "gamma_optical_THz": 8.312},
    },
}


def relax(surface: Surface, crystal: Atoms, fmax: float, *, cell: bool = True) -> Atoms | None:
    """The nearest minimum, by BFGS, of positions and (Fréchet) cell, or of positions alone.

    Args:
        surface: asked one frame at a time.
        crystal: where to start; not changed.
        fmax: largest force in eV/Å; on the cell the virial per atom in eV counts as a force.
        cell: whether the cell relaxes too.

    Returns:
        The relaxed crystal without a calculator; None where none is found in ``STEPS`` steps, or where the volume is
        halved or doubled on the way, or forces are not finite.
    """
    atoms = crystal.copy()
    atoms.calc = surface.calculator()
    optimizer = BFGS(FrechetCellFilter(atoms) if cell else atoms, logfile=None)
    for converged in optimizer.irun(fmax=fmax, steps=STEPS):
        if converged:
            return _bare(atoms)
        finite = np.isfinite(atoms.get_forces()).all()
        if not finite or not 0.5 < atoms.get_volume() / crystal.get_volume() < 2.0:
            break
    return None


def _bare(atoms: Atoms) -> Atoms:
    found = atoms.copy()
    found.calc = None
    return found


def not_relaxed(name: str, surface: Surface) -> str:
    """The fault of a crystal without a minimum."""
    return f"{name}: {surface.name} has no minimum near the crystal ({STEPS} steps, half to double the volume)"


def same_level(reference: Surface | None, system: System) -> bool:
    """Whether the reference made the training labels; only then a difference from it is an error."""
    return reference is not None and reference.name == system.reference


def level_of(reference: Surface | None, system: System) -> str | None:
    """For the settings: whether what is compared with is of the labels' own level of theory; None without it."""
    if reference is None:
        return None
    return "the labels' own" if same_level(reference, system) else "another than the labels'"


def stated(reference: Surface | None, system: System) -> dict[str, Any]:
    """For the settings: how the reference is used, and published values as context where labels come from DFT.

    The context is never made an error: of silicon, labels, code and pseudopotential differ.
    """
    if same_level(reference, system):
        errors = "against the labels' own level of theory"
    else:
        errors = "none: no reference of the labels' own level of theory"
    context = {name: _PUBLISHED[name] for name in system.crystals if name in _PUBLISHED}
    return {"errors": errors} | ({"context": context} if context and system.reference is None else {})


def lattice_constant(crystal: Atoms, start: Atoms) -> float:
    """Edge of the conventional cubic cell in Å: that of the cell before relaxation, times (V/V_start)^(1/3)."""
    return float(start.cell.get_bravais_lattice().a * (crystal.get_volume() / start.get_volume()) ** (1 / 3))
