"""Files to frames: ``ase.Atoms`` with labels under ``REF_energy``, ``REF_forces``, ``REF_stress`` in eV and Å."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError
from numpy.typing import NDArray

from scalarfid.data.config import Keys, Units
from scalarfid.data.labels import calculator_value, full_stress
from scalarfid.data.units import factor
from scalarfid.errors import ScalarFidError

# What ASE's readers, gzip, numpy and json raise on broken input.
BROKEN = (OSError, EOFError, zlib.error, BadZipFile, UnknownFileTypeError)
BROKEN += (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, RuntimeError, StopIteration)

NPZ_KEYS = (("nuclear_charges", "coords", "energies", "forces"), ("z", "R", "E", "F"))


def read_frames(
    path: str | Path, keys: Keys | None = None, units: Units | None = None, rows: Sequence[int] | None = None
) -> list[Atoms]:
    """Read a file of frames: extended xyz or anything ASE reads (also ``.gz``), npz of rMD17 or sGDML, mlearn json.

    Args:
        path: the file.
        keys: names of the labels; see ``Keys``.
        units: units of the file; see ``Units``.
        rows: numbers of the frames wanted, in that order; None takes all.

    Returns:
        Frames with labels in eV, Å, tensile positive, and ``info["frame"]``, the number in the file.

    Raises:
        ScalarFidError: the file is missing or broken, or a label that ``keys`` names is in no frame.
    """
    path = Path(path).expanduser()
    keys, units = keys or Keys(), units or Units()
    if not path.is_file():
        raise ScalarFidError(f"no file {path}; check dataset.path or dataset.root")
    try:
        raw = _read_raw(path, units)
        picked = list(range(len(raw))) if rows is None else [int(row) for row in rows]
        raw = [raw[row] for row in picked]
    except ScalarFidError:
        raise
    except BROKEN as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ScalarFidError(f"cannot read {path}: {reason}; is it whole, and of the format its name says?") from error
    if not raw:
        raise ScalarFidError(f"{path} holds no frames; check that it is complete")
    frames = [_canonical(a, keys, units, f"{path}, frame {n}") for n, a in zip(picked, raw, strict=True)]
    for number, atoms in zip(picked, frames, strict=True):
        atoms.info["frame"] = number
    _check_named_keys(raw, frames, keys, path)
    return frames


def _read_raw(path: Path, units: Units) -> Sequence[Atoms]:
    if path.suffix == ".npz":
        return _NpzFrames(path, units)
    if path.suffix == ".json" and path.open("rb").read(1) == b"[":
        return [_mlearn_frame(entry) for entry in json.loads(path.read_text())]
    if path.name.endswith((".xyz.gz", ".extxyz.gz")):
        # In memory: the reader seeks back for every frame, and a compressed file then starts again from its beginning.
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return ase.io.read(io.StringIO(stream.read()), index=":", format="extxyz")
    return ase.io.read(path, index=":")


class _NpzFrames(Sequence[Atoms]):
    """Frames of an npz with rMD17's or sGDML's keys, made when asked for (the published files hold 100 000)."""

    def __init__(self, path: Path, units: Units) -> None:
        with np.load(path, allow_pickle=False) as archive:
            names = next((names for names in NPZ_KEYS if names[1] in archive), None)
            if names is None:
                wanted = " or ".join("/".join(names) for names in NPZ_KEYS)
                raise ScalarFidError(f"{path} has keys {', '.join(archive)}; expected {wanted}")
            self.numbers, self.positions = archive[names[0]].astype(int), archive[names[1]]
            self.energies = archive[names[2]].reshape(-1) if names[2] in archive else None
            self.forces = archive.get(names[3])
            units_of = {"energy": "e_unit", "length": "r_unit"}
            stated = {key: str(archive[name]) for key, name in units_of.items() if name in archive}
        for key, unit in stated.items():
            configured = getattr(units, key)
            if factor(unit) != factor(configured):
                raise ScalarFidError(
                    f"{path} states {key} in {unit}, the config says {configured}: set "
                    f"dataset.units.{key}={unit} and dataset.units.forces to match"
                )

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, row: int) -> Atoms:
        numbers = self.numbers if self.numbers.ndim == 1 else self.numbers[row]
        atoms = Atoms(numbers=numbers, positions=self.positions[row])
        if self.energies is not None:
            atoms.info["REF_energy"] = float(self.energies[row])
        if self.forces is not None:
            atoms.arrays["REF_forces"] = np.asarray(self.forces[row], dtype=float)
        return atoms


def _mlearn_frame(entry: dict[str, Any]) -> Atoms:
    """One entry of mlearn's json: a pymatgen structure and VASP's outputs, stress in the order xx yy zz xy yz zx."""
    structure, outputs = entry["structure"], entry["outputs"]
    atoms = Atoms(
        symbols=[site["species"][0]["element"] for site in structure["sites"]],
        positions=[site["xyz"] for site in structure["sites"]],
        cell=structure["lattice"]["matrix"],
        pbc=True,
    )
    xx, yy, zz, xy, yz, zx = outputs["virial_stress"]
    atoms.info |= {"REF_energy": outputs["energy"], "REF_stress": [xx, yy, zz, yz, zx, xy], "group": entry["group"]}
    atoms.arrays["REF_forces"] = np.array(outputs["forces"], dtype=float)
    return atoms


def _names(configured: Any, default: str) -> list[str]:
    if configured is None:
        return [f"REF_{default}"]
    return [configured] if isinstance(configured, str) else list(configured)


def _find(atoms: Atoms, configured: Any, label: str) -> Any:
    """First value under the configured names (info, arrays, calculator); by default ``REF_*``, then the calculator."""
    for name in _names(configured, label):
        for value in (atoms.info.get(name), atoms.arrays.get(name), _results(atoms).get(name)):
            if value is not None:
                return value
    return calculator_value(atoms, label) if configured is None else None


def _results(atoms: Atoms) -> dict[str, Any]:
    return {} if atoms.calc is None else atoms.calc.results


def _canonical(atoms: Atoms, keys: Keys, units: Units, where: str) -> Atoms:
    """A copy in eV and Å whose labels are under ``REF_*``; other info stays, other arrays and the calculator go."""
    scale = factor(units.length)
    frame = Atoms(numbers=atoms.numbers, positions=atoms.positions * scale, cell=atoms.cell[:] * scale, pbc=atoms.pbc)
    frame.info = {k: v for k, v in atoms.info.items() if not k.startswith("REF_")}
    try:
        if (energy := _find(atoms, keys.energy, "energy")) is not None:
            frame.info["REF_energy"] = float(energy) * factor(units.energy)
        if (forces := _find(atoms, keys.forces, "forces")) is not None:
            frame.arrays["REF_forces"] = _forces(forces, len(frame)) * factor(units.forces)
        if frame.pbc.all() and (stress := _find(atoms, keys.stress, "stress")) is not None:
            frame.info["REF_stress"] = full_stress(stress, where) * factor(units.stress)
    except (TypeError, ValueError) as error:
        if isinstance(error, ScalarFidError):
            raise
        raise ScalarFidError(f"{where}: a label is not a number ({error}); check dataset.keys") from error
    return frame


def _forces(value: Any, n_atoms: int) -> NDArray[np.float64]:
    forces = np.asarray(value, dtype=float)
    if forces.size != 3 * n_atoms:
        raise ValueError(f"forces of shape {forces.shape} for {n_atoms} atoms")
    return forces.reshape(n_atoms, 3)


def _check_named_keys(raw: Sequence[Atoms], frames: Sequence[Atoms], keys: Keys, path: Path) -> None:
    """A name the user gave must be somewhere in the file: a typo would otherwise just lose the label."""
    if all(len(atoms) == 1 for atoms in frames):
        return
    for label in ("energy", "forces", "stress"):
        configured = getattr(keys, label)
        held = any(f"REF_{label}" in atoms.info or f"REF_{label}" in atoms.arrays for atoms in frames)
        if configured is not None and not held:
            known = {name for atoms in raw[:20] for name in (*atoms.info, *atoms.arrays, *_results(atoms))}
            raise ScalarFidError(
                f"{path}: no frame has {label} under {configured!r} (dataset.keys.{label}); it has "
                f"{', '.join(sorted(known - {'numbers', 'positions'}))}"
            )
