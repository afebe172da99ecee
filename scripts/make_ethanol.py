"""Make the `ethanol` set that is in the repository: GFN2-xTB labels on rattled and Langevin MD frames.

python scripts/make_ethanol.py [folder]     (about two minutes on one core; needs the extra `physics`)

Two files: 300 frames for training and validation with the isolated atoms, and 100 test frames from trajectories of
their own. Positions are rounded to what the file keeps before they are labelled; frames of one trajectory share
`group`. Test frames are 20 fs apart, after 100 fs of equilibration.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from scalarfid.data.generate import FAMILIES, labelled, langevin_frames
from scalarfid.data.reference import isolated_atom, perfect_structure, reference

SEED = 20260101
TEMPERATURES = (300.0, 500.0, 800.0)  # K
RECIPES = {
    "train": {"rattled": 90, "trajectories": 7, "each": 10},
    "test": {"rattled": 25, "trajectories": 5, "each": 5},
}


def frames_of(part: str, rng: np.random.Generator) -> list[Atoms]:
    """Rattled frames and snapshots of several trajectories at each temperature, labelled."""
    recipe, start, calc = RECIPES[part], perfect_structure("xtb", "CH3CH2OH"), reference("xtb")
    rattle = FAMILIES["rattled"]
    frames = [labelled(rattle(start, rng), calc, "rattled", f"{part}-rattled-{k}") for k in range(recipe["rattled"])]
    for T in TEMPERATURES:
        for k in range(recipe["trajectories"]):
            path = langevin_frames(start, calc, rng, temperature=T, timestep=0.5, frames=recipe["each"],
                                   equilibration=200, interval=40)
            frames += [labelled(atoms, reference("xtb"), f"md_{T:g}K", f"{part}-md-{T:g}K-{k}") for atoms in path]
    return frames


def write(path: Path, frames: list[Atoms]) -> None:
    """Compressed extended xyz, the same bytes every time."""
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
        file.write(text.getvalue().encode())


def main(folder: Path) -> None:
    """Write both files into ``folder``."""
    rng = np.random.default_rng(SEED)
    atoms = [isolated_atom("xtb", z) for z in (1, 6, 8)]
    for part in RECIPES:
        frames = frames_of(part, rng)
        if part == "train":
            frames = atoms + frames
        path = folder / f"ethanol-gfn2-{part}.xyz.gz"
        write(path, frames)
        print(path, len(frames), "frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "scalarfid" / "data" / "files")
