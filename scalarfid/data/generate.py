"""Generated sets: rattled, strained, compressed and MD frames of a reference potential, deterministic by seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from scalarfid.data.cache import cache_folder, locked, replacing
from scalarfid.data.config import DatasetConfig, Recipe
from scalarfid.data.reference import isolated_atom, perfect_structure, reference
from scalarfid.log import log, progress

VERSION = 1
MD_SHARE, STRAINED_SHARE, COMPRESSED_SHARE = 0.3, 0.15, 0.15  # the rest is rattled
TRAJECTORIES = 2  # per temperature
EQUILIBRATION, INTERVAL = 50, 8  # steps
DIGITS = 8  # positions are rounded to what extended xyz keeps, before they are labelled

Perturbation = Callable[[Atoms, np.random.Generator], Atoms]


def _deformed(atoms: Atoms, deformation: np.ndarray) -> Atoms:
    """Cell and positions times a matrix [3,3]; a molecule is deformed about its centre."""
    deformed = atoms.copy()
    if atoms.pbc.any():
        deformed.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
    else:
        centre = atoms.positions.mean(0)
        deformed.positions = centre + (atoms.positions - centre) @ deformation
    return deformed


def _strain(rng: np.random.Generator, size: float) -> np.ndarray:
    strain = rng.normal(0, size, (3, 3))
    return np.eye(3) + (strain + strain.T) / 2


def _displaced(atoms: Atoms, rng: np.random.Generator, size: float) -> Atoms:
    atoms.positions += rng.normal(0, size, atoms.positions.shape)
    return atoms


def rattled(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Displacements of 0.02 to 0.15 Å (molecules 0.08), in crystals on top of a random strain of 2 %."""
    if atoms.pbc.any():
        return _displaced(_deformed(atoms, _strain(rng, 0.02)), rng, rng.uniform(0.02, 0.15))
    return _displaced(atoms.copy(), rng, rng.uniform(0.02, 0.08))


def strained(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Lengths scaled by 0.94 to 1.08 and sheared by 2 %, displacements of 0.02 Å."""
    return _displaced(_deformed(atoms, rng.uniform(0.94, 1.08) * _strain(rng, 0.02)), rng, 0.02)


def compressed(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Lengths scaled by 0.88 to 0.95, displacements of 0.08 Å (molecules 0.04): the repulsive wall."""
    size = 0.08 if atoms.pbc.any() else 0.04
    return _displaced(_deformed(atoms, rng.uniform(0.88, 0.95) * np.eye(3)), rng, size)


FAMILIES: dict[str, Perturbation] = {"rattled": rattled, "strained": strained, "compressed": compressed}


def langevin_frames(
    atoms: Atoms,
    calc: Calculator,
    rng: np.random.Generator,
    *,
    temperature: float,
    timestep: float,
    frames: int,
    equilibration: int = EQUILIBRATION,
    interval: int = INTERVAL,
) -> Iterator[Atoms]:
    """Snapshots of one Langevin trajectory.

    Args:
        atoms: where it starts.
        calc: the potential.
        rng: velocities and noise.
        temperature: in K.
        timestep: in fs.
        frames: how many.
        equilibration: steps before the first interval.
        interval: steps from one snapshot to the next.
    """
    moving = atoms.copy()
    moving.calc = calc
    MaxwellBoltzmannDistribution(moving, temperature_K=2 * temperature, rng=rng)
    noise = {"friction": 0.02 / units.fs, "fixcm": False, "rng": rng}
    dynamics = Langevin(moving, timestep * units.fs, temperature_K=temperature, **noise)
    dynamics.run(equilibration)
    for _ in range(frames):
        dynamics.run(interval)
        yield Atoms(numbers=moving.numbers, positions=moving.positions, cell=moving.cell, pbc=moving.pbc)


def labelled(atoms: Atoms, calc: Calculator, family: str, group: str) -> Atoms:
    """A copy at rounded positions with ``REF_*`` labels of the calculator; stress where all axes are periodic."""
    frame = Atoms(numbers=atoms.numbers, positions=atoms.positions.round(DIGITS), cell=atoms.cell, pbc=atoms.pbc)
    frame.calc = calc
    frame.info = {"config_type": family, "group": group, "REF_energy": float(frame.get_potential_energy())}
    frame.arrays["REF_forces"] = frame.get_forces()
    if frame.pbc.all():
        frame.info["REF_stress"] = frame.get_stress(voigt=False)
    frame.calc = None
    return frame


def make_frames(recipe: Recipe, molecule: str | None = None) -> list[Atoms]:
    """All frames of a recipe: the single atoms, then the families; ``info["group"]`` keeps a trajectory together.

    Args:
        recipe: potential, number of frames (without the single atoms), seed, temperatures in K, timestep in fs.
        molecule: for ``xtb``, a name that ``ase.build.molecule`` knows.
    """
    rng = np.random.default_rng(recipe.seed)
    start, calc = perfect_structure(recipe.potential, molecule), reference(recipe.potential)
    elements = sorted(set(start.numbers.tolist()))
    runs = [(T, k) for T in recipe.temperatures for k in range(TRAJECTORIES)] if recipe.temperatures else []
    counts = {"strained": round(STRAINED_SHARE * recipe.frames), "compressed": round(COMPRESSED_SHARE * recipe.frames)}
    each = round(MD_SHARE * recipe.frames / len(runs)) if runs else 0
    counts = {"rattled": recipe.frames - sum(counts.values()) - each * len(runs)} | counts
    frames = [isolated_atom(recipe.potential, z) for z in elements]
    for family, count in counts.items():
        for k in range(count):
            frames.append(labelled(FAMILIES[family](start, rng), calc, family, f"{family}-{k}"))  # noqa: PERF401
    moving = reference(recipe.potential)
    for T, k in progress(runs if each else [], f"molecular dynamics, {recipe.potential}"):
        path = langevin_frames(start, moving, rng, temperature=T, timestep=recipe.timestep, frames=each)
        frames += [labelled(atoms, calc, f"md_{T:g}K", f"md_{T:g}K-{k}") for atoms in path]
    return frames


def recipe_mark(recipe: Recipe, molecule: str | None) -> str:
    """What identifies a generated set: a hash of the recipe, the molecule and the version of this module."""
    record = {"recipe": asdict(recipe), "molecule": molecule, "version": VERSION}
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def generated_path(config: DatasetConfig) -> tuple[Path, str]:
    """Where the generated set is, or will be, and its mark."""
    mark = recipe_mark(config.recipe, config.molecule)
    return cache_folder(config.cache) / "generated" / f"{config.name}-{mark[:12]}.xyz", mark


def generated_file(config: DatasetConfig) -> tuple[Path, str]:
    """The file of a generated set and its mark, made on first use by whichever process comes first."""
    path, mark = generated_path(config)
    if path.is_file():
        return path, mark
    with locked(path):
        if not path.is_file():
            recipe = config.recipe
            log.info("making %d frames of %s (%s)", recipe.frames, config.name, recipe.potential)
            frames = make_frames(recipe, config.molecule)
            with replacing(path) as temporary:
                ase.io.write(temporary, frames, format="extxyz")
    return path, mark
