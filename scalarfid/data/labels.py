"""Labels of a frame and what is refused about them (units eV, Å; stress tensile positive)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.log import log

REFUSED_NET_FORCE = 0.1  # eV/Å per atom
WARNED_NET_FORCE = 1e-3
TYPICAL_STRESS, LARGEST_STRESS = 0.5, 10.0  # eV/Å³ (80 GPa in the median frame, 1600 GPa in any)


@dataclass(frozen=True)
class Labels:
    """energy in eV, forces [N,3] in eV/Å, stress [3,3] in eV/Å³, tensile positive; None where there is no label."""

    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None


def full_stress(value: object, where: str) -> NDArray[np.float64]:
    """3×3 form of a stress given as Voigt xx yy zz yz xz xy, as nine numbers or as 3×3; must be symmetric."""
    stress = np.asarray(value, dtype=float)
    if stress.size == 6:
        return voigt_6_to_full_3x3_stress(stress.reshape(6))
    if stress.size != 9:
        raise ScalarFidError(f"{where}: a stress has 6 or 9 components, this one has shape {stress.shape}")
    stress = stress.reshape(3, 3)
    asymmetry = np.abs(stress - stress.T).max()
    if asymmetry > 1e-3 * max(np.abs(stress).max(), 1e-3):
        raise ScalarFidError(f"{where}: stress is asymmetric by {asymmetry:.3g}; check the order of its components")
    return (stress + stress.T) / 2


def calculator_value(atoms: Atoms, name: str) -> object | None:
    """What the attached calculator already holds for these very atoms; nothing is computed."""
    if atoms.calc is None:
        return None
    with suppress(PropertyNotImplementedError):
        return atoms.calc.get_property(name, atoms, allow_calculation=False)
    return None


def labels_of(atoms: Atoms) -> Labels:
    """Labels under ``REF_energy``, ``REF_forces``, ``REF_stress``, or else those of ASE's calculator.

    A stress is kept only where all three axes are periodic: it has no meaning elsewhere.
    """
    energy = atoms.info.get("REF_energy", calculator_value(atoms, "energy"))
    forces = atoms.arrays.get("REF_forces", calculator_value(atoms, "forces"))
    stress = atoms.info.get("REF_stress", calculator_value(atoms, "stress")) if atoms.pbc.all() else None
    return Labels(
        energy=None if energy is None else float(energy),
        forces=None if forces is None else np.asarray(forces, dtype=float).reshape(-1, 3),
        stress=None if stress is None else full_stress(stress, "frame"),
    )


def check_frame(atoms: Atoms, where: str) -> float:
    """Refuse what no model can use: NaN, infinities, unknown elements, a net force; returns the net force per atom.

    Args:
        atoms: with canonical labels (``REF_*``).
        where: the file and frame, for the message.

    Returns:
        |Σ F| / N in eV/Å, 0 without forces.
    """
    if len(atoms) == 0:
        raise ScalarFidError(f"{where}: the frame has no atoms; remove it")
    wrong = [z for z in set(atoms.numbers.tolist()) if not 1 <= z <= 118]
    if wrong:
        raise ScalarFidError(f"{where}: atomic number {wrong[0]} is no element; check the species column")
    labels = labels_of(atoms)
    values = {"positions": atoms.positions, "cell": atoms.cell[:], **vars(labels)}
    for name, value in values.items():
        if value is not None and not np.isfinite(value).all():
            raise ScalarFidError(f"{where}: {name} holds NaN or infinity; remove the frame or leave the label out")
    if labels.forces is None:
        return 0.0
    if len(labels.forces) != len(atoms):
        raise ScalarFidError(f"{where}: {len(labels.forces)} forces for {len(atoms)} atoms; check dataset.keys.forces")
    net = float(np.linalg.norm(labels.forces.sum(0)) / len(atoms))
    if net > REFUSED_NET_FORCE:
        raise ScalarFidError(
            f"{where}: net force {net:.3g} eV/Å per atom (limit {REFUSED_NET_FORCE}); "
            "check dataset.units.forces and dataset.keys.forces, or remove the frame"
        )
    return net


def check_frames(frames: Sequence[Atoms], source: str) -> list[str]:
    """Check every frame of one file, and the size of its stresses; returns warnings (also logged)."""
    nets = [check_frame(atoms, f"{source}, frame {number}") for number, atoms in enumerate(frames)]
    check_stress_size(frames, source)
    warnings = []
    above = sum(net > WARNED_NET_FORCE for net in nets)
    if above:
        worst = int(np.argmax(nets))
        warnings.append(
            f"{source}: net force above {WARNED_NET_FORCE} eV/Å per atom in {above} frames, "
            f"largest {nets[worst]:.3g} in frame {worst}"
        )
        log.warning(warnings[-1])
    return warnings


def check_stress_size(frames: Sequence[Atoms], source: str) -> None:
    """Refuse stresses of a size that eV/Å³ cannot have (1 eV/Å³ = 160 GPa): they are in kbar or GPa."""
    stresses = [labels_of(atoms).stress for atoms in frames]
    sizes = [np.abs(stress).max() for stress in stresses if stress is not None]
    if not sizes:
        return
    median, largest = float(np.median(sizes)), float(np.max(sizes))
    if median > TYPICAL_STRESS or largest > LARGEST_STRESS:
        raise ScalarFidError(
            f"{source}: stress of {largest:.3g} (median {median:.3g}) cannot be eV/Å³; it looks like kbar or GPa: set "
            "dataset.units.stress=kbar or GPa (-kbar for VASP, whose sign is opposite)"
        )
