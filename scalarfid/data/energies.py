"""E0, the energy of an isolated atom of each element in eV: E = Σ E0(z_i) + interaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from scalarfid.data.labels import labels_of
from scalarfid.errors import ScalarFidError
from scalarfid.log import log

ISOLATED_FROM = 8.0  # Å; a periodic one-atom cell whose image is nearer is a crystal, not an isolated atom


def is_isolated(atoms: Atoms) -> bool:
    """Whether a frame is one atom alone: without periodic axes, or with its nearest image 8 Å away or farther."""
    if len(atoms) != 1:
        return False
    if not atoms.pbc.any():
        return True
    lattice = np.array(atoms.cell[:])[atoms.pbc]
    counts = np.stack(np.meshgrid(*[[-1, 0, 1]] * len(lattice), indexing="ij"), -1).reshape(-1, len(lattice))
    lengths = np.linalg.norm(counts[counts.any(1)] @ lattice, axis=1)
    return bool(lengths.min() >= ISOLATED_FROM)


def isolated_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """E0 by atomic number from single-atom frames.

    Raises:
        ScalarFidError: one has no energy, or two of an element differ by more than 1e-6 eV.
    """
    found: dict[int, float] = {}
    for atoms in frames:
        z, energy = int(atoms.numbers[0]), labels_of(atoms).energy
        symbol = chemical_symbols[z]
        if energy is None:
            raise ScalarFidError(f"the single-atom frame of {symbol} has no energy; label it or remove it")
        if abs(found.setdefault(z, energy) - energy) > 1e-6:
            raise ScalarFidError(
                f"two energies for an isolated {symbol} atom, {found[z]:.6f} and {energy:.6f} eV; "
                "keep the frame that belongs to this reference method"
            )
    return found


def composition(frames: Sequence[Atoms], elements: Sequence[int]) -> NDArray[np.float64]:
    """Numbers of atoms [frames, elements]."""
    return np.array([[np.count_nonzero(atoms.numbers == z) for z in elements] for atoms in frames], dtype=float)


def fitted_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """E0 by least squares on total energies, of smallest norm where the compositions leave it open (warned)."""
    labelled = [(atoms, labels_of(atoms).energy) for atoms in frames]
    labelled = [(atoms, energy) for atoms, energy in labelled if energy is not None]
    _need_energies(labelled, "lstsq", frames)
    elements = sorted({int(z) for atoms, _ in labelled for z in atoms.numbers})
    counts = composition([atoms for atoms, _ in labelled], elements)
    solution, _, rank, _ = np.linalg.lstsq(counts, np.array([energy for _, energy in labelled]), rcond=None)
    if rank < len(elements):
        log.warning("E0 by least squares: the compositions do not tell the %d elements apart", len(elements))
    return dict(zip(elements, solution.tolist(), strict=True))


def mean_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """One E0 for all elements: the mean energy per atom."""
    values = [energy / len(atoms) for atoms in frames if (energy := labels_of(atoms).energy) is not None]
    _need_energies(values, "mean", frames)
    return {int(z): float(np.mean(values)) for atoms in frames for z in set(atoms.numbers.tolist())}


def _need_energies(values: Sequence[object], mode: str, frames: Sequence[Atoms]) -> None:
    if values:
        return
    keys = sorted({key for atoms in frames[:20] for key in atoms.info} - {"frame"})
    name_one = f"say where they are, dataset.keys.energy=… (it has {', '.join(keys)}), or " if keys else ""
    raise ScalarFidError(
        f"dataset.e0={mode} needs energies and no training frame has one; {name_one}"
        f"{_explicit({int(z) for atoms in frames for z in atoms.numbers})}"
    )


def _explicit(elements: Iterable[int]) -> str:
    """The advice to give E0 of these atomic numbers by hand."""
    return " ".join(
        ["set dataset.e0=explicit", *(f"dataset.e0_values.{chemical_symbols[z]}=…" for z in sorted(elements))]
    )


def explicit_energies(values: Mapping[str, float]) -> dict[int, float]:
    """E0 from ``dataset.e0_values``, by symbol."""
    unknown = [symbol for symbol in values if symbol not in atomic_numbers]
    if unknown:
        raise ScalarFidError(f"dataset.e0_values: {unknown[0]!r} is not an element; write symbols, {{H: -13.6}}")
    return {atomic_numbers[symbol]: float(value) for symbol, value in values.items()}


def _remedy(mode: str, elements: Sequence[int]) -> str:
    """What helps when ``mode`` gives some of the elements no energy."""
    if mode == "isolated":
        return f"; add single-atom frames, set dataset.e0=lstsq, or {_explicit(elements)}"
    if mode == "explicit":
        return f"; {_explicit(elements)}"
    return f": it is in no training frame with an energy; leave those frames out, or {_explicit(elements)}"


def atomic_energies(
    mode: str, train: Sequence[Atoms], isolated: Sequence[Atoms], elements: Sequence[int], values: Mapping[str, float]
) -> dict[int, float]:
    """E0 of every element in ``elements``, logged.

    Args:
        mode: ``isolated`` (single-atom frames), ``lstsq``, ``mean`` (training frames), ``explicit`` (``values``), or
            ``auto``: isolated when every element has its frame, else lstsq.
        train: training frames.
        isolated: single-atom frames.
        elements: atomic numbers that must have a value.
        values: E0 in eV by symbol, for ``explicit``.

    Raises:
        ScalarFidError: an element stays without a value, or two values contradict.
    """
    alone = isolated_energies(isolated)
    if mode == "auto":
        mode = "isolated" if set(elements) <= alone.keys() else "lstsq"
    makers = {
        "isolated": lambda: alone,
        "lstsq": lambda: fitted_energies(train),
        "mean": lambda: mean_energies(train),
        "explicit": lambda: explicit_energies(values),
    }
    e0 = makers[mode]()
    missing = [chemical_symbols[z] for z in elements if z not in e0]
    if missing:
        raise ScalarFidError(f"dataset.e0={mode} gives no energy for {', '.join(missing)}{_remedy(mode, elements)}")
    log.info("E0 (%s): %s eV", mode, ", ".join(f"{chemical_symbols[z]} {e0[z]:.6f}" for z in elements))
    return {z: e0[z] for z in elements}
