"""Bonds of molecules and crystals pulled apart: which, the frames of a scan, and what a surface says along it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from scalarfid.data.graphs import neighbours
from scalarfid.files import replacing
from scalarfid.log import progress
from scalarfid.physics.dynamics import supercell
from scalarfid.physics.surface import LEAST, Surface, answers_or_nan

Array = NDArray[np.float64]
BONDED = 1.25
"""Sums of covalent radii; nearer than this two atoms are bonded."""
SUPERCELL = 32
"""Atoms of a crystal that is scanned, at most."""


@dataclass(frozen=True)
class Scan:
    """Frames in order of growing bond length α.

    Attributes:
        name: molecule or crystal and bond, as in ``ethanol C0-O2``.
        alpha: [K] bond length in Å.
        frames: K geometries, of one cell where they are periodic.
        direction: [N,3] dx/dα, no unit: half the bond's direction on one fragment, minus half on the other; of a
            crystal the bond's direction on the atom that moves.
    """

    name: str
    alpha: Array
    frames: list[Atoms]
    direction: Array

    @property
    def periodic(self) -> bool:
        """Whether it is of a crystal."""
        return bool(self.frames[0].pbc.any())

    def kept(self, rows: NDArray[np.bool_]) -> Scan:
        """The scan without the frames that are false in ``rows`` [K]."""
        frames = [frame for frame, row in zip(self.frames, rows, strict=True) if row]
        return Scan(self.name, self.alpha[rows], frames, self.direction)

    def at(self, alpha: Array) -> Scan:
        """The same bond at other lengths."""
        frames = _moved(self.frames[0], self.direction, alpha - self.alpha[0])
        return Scan(self.name, alpha, frames, self.direction)

    def finer(self, times: int) -> Scan:
        """The scan in steps so many times smaller."""
        steps = times * round(np.ptp(self.alpha) / np.diff(self.alpha).min())
        return self.at(np.linspace(self.alpha[0], self.alpha[-1], steps + 1))


@dataclass(frozen=True)
class Track:
    """What a surface says along a scan: energy [K] in eV, forces [K,N,3] in eV/Å."""

    energy: Array
    forces: Array

    def kept(self, rows: NDArray[np.bool_]) -> Track:
        """Without the frames that are false in ``rows`` [K]."""
        return Track(self.energy[rows], self.forces[rows])

    def pull(self, scan: Scan) -> Array:
        """F·dx/dα [K] in eV/Å, −dE/dα of a conservative surface."""
        return np.einsum("kia,ia->k", self.forces, scan.direction)


def covalent_sums(atoms: Atoms) -> Array:
    """r_i + r_j [N,N] in Å of ASE's covalent radii."""
    radii = covalent_radii[atoms.numbers]
    return radii[:, None] + radii


def breakable(atoms: Atoms) -> list[tuple[int, int]]:
    """Bonds i < j whose removal leaves two fragments: the bridges of the bond graph."""
    bonds = np.triu(atoms.get_all_distances() < BONDED * covalent_sums(atoms), 1)
    whole = connected_components(bonds, directed=False)[0]
    found = []
    for i, j in np.argwhere(bonds):
        bonds[i, j] = False
        if connected_components(bonds, directed=False)[0] > whole:
            found.append((int(i), int(j)))
        bonds[i, j] = True
    return found


def fragment(atoms: Atoms, bond: tuple[int, int]) -> NDArray[np.bool_]:
    """[N] which atoms stay with the second atom of a breakable bond."""
    bonds = atoms.get_all_distances() < BONDED * covalent_sums(atoms)
    bonds[bond], bonds[bond[::-1]] = False, False
    part = connected_components(bonds, directed=False)[1]
    return part == part[bond[1]]


def bond_scan(name: str, atoms: Atoms, bond: tuple[int, int], alpha: Array) -> Scan:
    """Move both fragments rigidly by ±(α − α₀)/2 along the bond (BSCT, arXiv 2602.04861).

    Args:
        name: of the molecule.
        atoms: near equilibrium; α₀ is its bond length.
        bond: a breakable one.
        alpha: [K] bond lengths in Å.
    """
    vector = atoms.positions[bond[1]] - atoms.positions[bond[0]]
    length = np.linalg.norm(vector)
    sides = np.where(fragment(atoms, bond), 0.5, -0.5)
    direction = sides[:, None] * vector / length
    return Scan(f"{name} {_pair(atoms, *bond)}", alpha, _moved(atoms, direction, alpha - length), direction)


def neighbour_scans(name: str, crystal: Atoms, ratios: Array) -> Iterator[Scan]:
    """One atom of each element on the line to its nearest neighbour, all others at rest.

    Args:
        name: of the crystal.
        crystal: a primitive cell, repeated to at most ``SUPERCELL`` atoms.
        ratios: [K] bond lengths, in those of the crystal.
    """
    atoms = supercell(crystal, SUPERCELL)
    rows, columns, lengths, vectors = neighbor_list("ijdD", atoms, 2.0 * (atoms.get_volume() / len(atoms)) ** (1 / 3))
    for element in dict.fromkeys(atoms.numbers):
        bonds = np.flatnonzero(atoms.numbers[columns] == element)
        shortest = bonds[lengths[bonds].argmin()]
        i, j, length = int(rows[shortest]), int(columns[shortest]), lengths[shortest]
        direction = np.zeros((len(atoms), 3))
        direction[j] = vectors[shortest] / length
        alpha = length * ratios
        yield Scan(f"{name} {_pair(atoms, i, j)}", alpha, _moved(atoms, direction, alpha - length), direction)


def _moved(atoms: Atoms, direction: Array, ways: Array) -> list[Atoms]:
    positions = [atoms.positions + way * direction for way in ways]
    return [Atoms(atoms.numbers, x, cell=atoms.cell, pbc=atoms.pbc) for x in positions]


def _pair(atoms: Atoms, i: int, j: int) -> str:
    return f"{atoms.symbols[i]}{i}-{atoms.symbols[j]}{j}"


def ask(surface: Surface, scans: Sequence[Scan]) -> list[Track]:
    """Energies and forces along all scans, in one call."""
    answers = surface([frame for scan in scans for frame in scan.frames])
    ends = np.cumsum([len(scan.frames) for scan in scans])
    return [
        Track(answers.energy[end - len(scan.frames) : end], np.array(answers.forces[end - len(scan.frames) : end]))
        for scan, end in zip(scans, ends, strict=True)
    ]


def ask_reference(surface: Surface, scans: Sequence[Scan], kept: Path | None = None) -> list[Track]:
    """The same scan by scan, with a progress bar; NaN where the reference finds no answer.

    Args:
        surface: of the reference.
        scans: what to ask.
        kept: folder of what this very reference has said before; what is not there is asked and added, so that an
            interrupted question goes on where it was, and the next model's costs nothing.
    """
    tracks = []
    for scan in progress(scans, f"Bond scans ({surface.name})"):
        path = None if kept is None else kept / f"{scan_mark(scan)}.npz"
        if path is None or not path.is_file():
            tracks.append(_asked(surface, scan))
            if path is not None:
                with replacing(path) as temporary:
                    np.savez_compressed(temporary, energy=tracks[-1].energy, forces=tracks[-1].forces)
            continue
        with np.load(path) as stored:
            tracks.append(Track(stored["energy"], stored["forces"]))
    return tracks


def scan_mark(scan: Scan) -> str:
    """What identifies the frames of a scan: a hash of their atoms, positions and cells."""
    content = [part for frame in scan.frames for part in (frame.numbers.tobytes(), frame.positions.tobytes())]
    content += [frame.cell.array.tobytes() for frame in scan.frames if scan.periodic]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


def _asked(surface: Surface, scan: Scan) -> Track:
    answers = answers_or_nan(surface, scan.frames)
    return Track(answers.energy, np.array(answers.forces))


@dataclass(frozen=True)
class Crossing:
    """A pair of atoms whose distance crosses the cutoff.

    Attributes:
        interval: k, it does so between the frames k and k + 1.
        pair: the atoms, as in ``O0-H1``.
    """

    interval: int
    pair: str


def crossings(scan: Scan, cutoff: float) -> list[Crossing]:
    """Every crossing on the way, in its order; once for every image of a pair, twice for one that comes back."""
    start = scan.frames[0]
    way = 2 * np.linalg.norm(scan.direction, axis=1).max() * np.ptp(scan.alpha)
    (i, j), shifts = neighbours(start.positions, start.cell.array, start.pbc, cutoff + way)
    i, j, shifts = i[i < j], j[i < j], shifts[i < j] @ start.cell.array
    places = np.array([frame.positions for frame in scan.frames])
    within = np.linalg.norm(places[:, j] + shifts - places[:, i], axis=-1) < cutoff
    return [Crossing(int(k), _pair(start, i[p], j[p])) for k, p in np.argwhere(np.diff(within, axis=0))]


def answered(scans: Sequence[Scan], truths: Sequence[Track]) -> list[tuple[Scan, Track]]:
    """Without the frames that the reference does not answer, and without scans of which it answers too few."""
    known = [(scan, truth, np.isfinite(truth.energy)) for scan, truth in zip(scans, truths, strict=True)]
    return [(scan.kept(rows), truth.kept(rows)) for scan, truth, rows in known if rows.sum() >= LEAST]
