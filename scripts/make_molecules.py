"""Make the molecular sets that are in the repository: GFN2-xTB labels on perturbed and Langevin MD frames.

python scripts/make_molecules.py ethanol [folder]   (two minutes on one core; extra `physics`)
python scripts/make_molecules.py mol31 [folder]     (a quarter of an hour)
python scripts/make_molecules.py mol31-start <bsct_spice_….xyz.gz> [folder]

A set is two files: frames for training and validation with the isolated atoms, and test frames from trajectories of
their own. Positions are rounded to what the file keeps before they are labelled; frames of one trajectory share
`group`. Test frames are 20 fs apart, after 100 fs of equilibration. With OMP_NUM_THREADS=1 the bytes are always the
same.

`mol31` starts from `mol31-start.xyz`, which the last command makes: of every scan of BSCT-SPICE that it is given, the
frame of lowest energy, relaxed by GFN2-xTB, with the indices of the bond that was scanned.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.optimize import BFGS

from scalarfid.data import read_frames
from scalarfid.data.generate import DIGITS, FAMILIES, labelled, langevin_frames
from scalarfid.data.labels import labels_of
from scalarfid.data.reference import isolated_atom, perfect_structure, reference
from scalarfid.errors import ScalarFidError
from scalarfid.physics.bonds import breakable, covalent_sums
from scalarfid.physics.systems import published_molecules

FOLDER = Path(__file__).parents[1] / "scalarfid" / "data" / "files"
SEED = 20260101
TEMPERATURES = (300.0, 500.0, 800.0)  # K
RELAXED = 0.01  # eV/Å


@dataclass(frozen=True)
class Recipe:
    """Frames of one molecule: of each family of perturbations, and of each temperature's trajectories."""

    families: dict[str, int]
    trajectories: int
    each: int


RECIPES = {
    "ethanol": {"train": Recipe({"rattled": 90}, 7, 10), "test": Recipe({"rattled": 25}, 5, 5)},
    "mol31": {
        "train": Recipe({"rattled": 8, "strained": 4, "compressed": 4}, 1, 6),
        "test": Recipe({"rattled": 2, "strained": 1, "compressed": 1}, 1, 2),
    },
}


def starts(name: str) -> dict[str, Atoms]:
    """Unperturbed molecules of a set; the name of the only one is empty."""
    return {"": perfect_structure("xtb", "CH3CH2OH")} if name == "ethanol" else published_molecules(name)


def frames_of(part: str, recipe: Recipe, molecule: str, start: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
    """Perturbed frames and snapshots of several trajectories at each temperature, labelled."""
    calc = reference("xtb")
    origin = f"{part}-{molecule}" if molecule else part
    for family, count in recipe.families.items():
        for k in range(count):
            yield labelled(FAMILIES[family](start, rng), calc, family, f"{origin}-{family}-{k}")
    for T in TEMPERATURES:
        for k in range(recipe.trajectories):
            path = langevin_frames(start, calc, rng, temperature=T, timestep=0.5, frames=recipe.each,
                                   equilibration=200, interval=40)  # fmt: skip
            yield from (labelled(atoms, reference("xtb"), f"md_{T:g}K", f"{origin}-md-{T:g}K-{k}") for atoms in path)


def make(name: str, folder: Path) -> None:
    """Write both files of a set into ``folder``."""
    rng, molecules = np.random.default_rng(SEED), starts(name)
    elements = sorted({int(z) for start in molecules.values() for z in start.numbers})
    frames = [isolated_atom("xtb", z) for z in elements]
    for part, recipe in RECIPES[name].items():
        for molecule, start in molecules.items():
            for atoms in frames_of(part, recipe, molecule, start, rng):
                atoms.info |= {"molecule": molecule} if molecule else {}
                frames.append(atoms)
        path = folder / f"{name}-gfn2-{part}.xyz.gz"
        write(path, frames)
        print(path, len(frames), "frames")
        frames = []


def write(path: Path, frames: list[Atoms]) -> None:
    """Compressed extended xyz, the same bytes every time."""
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
        file.write(text.getvalue().encode())


def scanned_bond(scan: list[Atoms]) -> tuple[int, int]:
    """The pair that goes from 0.5 to 2 sums of covalent radii and is a bond that can break."""
    first, last = (frame.get_all_distances() / covalent_sums(frame) for frame in (scan[0], scan[-1]))
    (bond,) = np.argwhere(np.triu(np.isclose(first, 0.5) & np.isclose(last, 2.0), 1)).tolist()
    return tuple(bond)


def relaxed(scan: list[Atoms]) -> Atoms:
    """The frame of lowest energy of a scan at the minimum of GFN2-xTB, with its ``molecule``, ``smiles``, ``bond``."""
    lowest = min(scan, key=lambda atoms: labels_of(atoms).energy)
    bond, name = scanned_bond(scan), f"{lowest.get_chemical_formula()}-{lowest.info['molecule']}"
    atoms = Atoms(lowest.numbers, lowest.positions - lowest.positions.mean(0), calculator=reference("xtb"))
    BFGS(atoms, logfile=None).run(fmax=RELAXED, steps=500)
    found = Atoms(atoms.numbers, atoms.positions.round(DIGITS))
    if breakable(found) != breakable(lowest) or bond not in breakable(found):
        raise ScalarFidError(f"{name} has other bonds once it is relaxed; leave it out")
    found.info = {"molecule": name, "smiles": lowest.info["smiles"], "bond": np.array(bond)}
    return found


def make_starts(scans: Path, folder: Path) -> None:
    """Write ``mol31-start.xyz`` from stored scans."""
    by_scan = groupby(read_frames(scans), lambda atoms: (atoms.info["bond_type"], int(atoms.info["molecule"])))
    found = [relaxed(list(scan)) for _, scan in by_scan]
    ase.io.write(folder / "mol31-start.xyz", found, format="extxyz")
    print(folder / "mol31-start.xyz", len(found), "molecules")


def main(words: list[str]) -> None:
    """Do what the first word says."""
    name, *rest = words
    if name == "mol31-start":
        make_starts(Path(rest[0]), Path(rest[1]) if rest[1:] else FOLDER)
    else:
        make(name, Path(rest[0]) if rest else FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
