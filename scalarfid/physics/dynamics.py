"""Molecular dynamics that several questions share: where it starts, when it has failed, how it goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.data import covalent_radii
from ase.io import Trajectory
from ase.io.ulm import InvalidULMFileError
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.units import fs
from numpy.typing import NDArray

from scalarfid.data.graphs import neighbours
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_json
from scalarfid.log import progress
from scalarfid.physics.kept import held
from scalarfid.physics.outcome import Number
from scalarfid.physics.systems import System, symbols

CLOSE = 0.5
"""Sums of covalent radii; two atoms nearer than this have failed."""
BOND = 0.5
"""Å; a molecule's bond that differs by more from its first length has failed (Fu et al., arXiv 2210.07237)."""
SPIKE = 5.0
"""A temperature of so many times what was asked for has failed."""
LOOK = 10
"""Distances are looked at where the number of the step is a multiple; the temperature after every step."""
LIMITS = {
    "closest_in_radii": CLOSE,
    "bond_change_A": BOND,
    "temperature_factor": SPIKE,
    "distances_looked_at_every_steps": LOOK,
}
FAILED = ".failed.json"
"""Instead of .traj: the file of a failure."""
LANGEVIN = {
    "integrator": "Langevin (Vanden-Eijnden and Ciccotti, Chem. Phys. Lett. 429, 310 (2006)), as in ASE",
    "thermostat": "Langevin, friction in 1/ps as stated",
}


@dataclass(frozen=True)
class Failure:
    """Of a run: when, in ps, and why."""

    time: float
    reason: str

    @property
    def number(self) -> Number:
        """The time, with the reason as its note."""
        return Number(self.time, "ps", note=self.reason)


def starts(system: System, limit: int) -> Iterator[tuple[str, Atoms]]:
    """Every crystal as a supercell of at most ``limit`` atoms, and every molecule."""
    for name, crystal in system.crystals.items():
        yield name, supercell(crystal, limit)
    yield from ((name, atoms.copy()) for name, atoms in system.molecules.items())


def supercell(crystal: Atoms, limit: int) -> Atoms:
    """The largest n×n×n repetition of a primitive cell with at most ``limit`` atoms, n ≥ 1."""
    n = max(1, int((limit / len(crystal)) ** (1 / 3) + 1e-9))
    return crystal.repeat(n)


def described(start: Atoms) -> dict[str, Any]:
    """For the settings: formula and number of atoms of what is simulated, and where the structure is from."""
    source = {"source": start.info["source"]} if "source" in start.info else {}
    return {"formula": start.get_chemical_formula("metal"), "atoms": len(start)} | source


def resolved(options: Any, starts: Mapping[str, dict[str, Any]], *rest: str) -> dict[str, Any]:
    """Options as settings of runs: limits instead of what they limit, and what holds for each structure.

    Args:
        options: dataclass, with ``atoms``, the most that a supercell may have.
        starts: what is known of each structure.
        rest: options whose values are in ``starts``.
    """
    settings = {key: value for key, value in asdict(options).items() if key not in ("atoms", *rest)}
    return settings | {"atoms_at_most": options.atoms, "structures": dict(starts)} | LIMITS


def moving(start: Atoms, temperature: float, seed: int) -> Atoms:
    """A copy with velocities of exactly ``temperature`` (K), at rest as a whole, a molecule without rotation."""
    atoms = start.copy()
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(seed))
    Stationary(atoms, preserve_temperature=False)
    if not atoms.pbc.any():
        ZeroRotation(atoms, preserve_temperature=False)
    atoms.set_momenta(atoms.get_momenta() * np.sqrt(temperature / atoms.get_temperature()))
    return atoms


def pairs(atoms: Atoms, cutoff: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs nearer than the cutoff (Å), both ways and with images: indices [2,E] and distances [E]."""
    edges, shifts = neighbours(atoms.positions, np.asarray(atoms.cell[:]), atoms.pbc, cutoff)
    vectors = atoms.positions[edges[1]] - atoms.positions[edges[0]] + shifts @ np.asarray(atoms.cell[:])
    return edges, np.linalg.norm(vectors, axis=1)


class Watch:
    """Looks for a failure: a temperature spike, atoms too close, a bond of a molecule out of range.

    Args:
        start: whose bonds count, where it is a molecule.
        temperature: asked for, in K; may be changed on the way.
    """

    def __init__(self, start: Atoms, temperature: float) -> None:
        self.failure: Failure | None = None
        self.temperature, self._radii = temperature, covalent_radii[start.numbers]
        self._bonds, self._lengths = np.zeros((2, 0), dtype=np.int64), np.zeros(0)
        if not start.pbc.any():
            (i, j), d = pairs(start, 2.5 * float(self._radii.max()))
            bonded = (i < j) & (d < 1.25 * (self._radii[i] + self._radii[j]))
            self._bonds, self._lengths = np.stack([i, j])[:, bonded], d[bonded]

    def fails(self, atoms: Atoms, step: int) -> str | None:
        """Why the state after so many steps of the whole run is a failure, None if it is none."""
        temperature = atoms.get_temperature()
        if not np.isfinite(temperature + atoms.get_potential_energy()):
            return "an energy or a force is no number"
        if temperature > SPIKE * self.temperature:
            return f"a temperature spike, {temperature:.0f} K (limit {SPIKE * self.temperature:.0f} K)"
        return None if step % LOOK else self._too_close(atoms) or self._broken(atoms)

    def _too_close(self, atoms: Atoms) -> str | None:
        (i, j), d = pairs(atoms, 2 * CLOSE * float(self._radii.max()))
        ratio = d / (self._radii[i] + self._radii[j])
        if not d.size or ratio.min() >= CLOSE:
            return None
        k = int(ratio.argmin())
        return f"a bond out of range, {_pair(atoms, i[k], j[k])} at {d[k]:.2f} Å (limit {CLOSE:g} sums of radii)"

    def _broken(self, atoms: Atoms) -> str | None:
        i, j = self._bonds
        d = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        change = np.abs(d - self._lengths)
        if not d.size or change.max() <= BOND:
            return None
        k = int(change.argmax())
        return f"a bond out of range, {_pair(atoms, i[k], j[k])} at {d[k]:.2f} Å ({self._lengths[k]:.2f} Å at first)"


def follow(dynamics: MolecularDynamics, watch: Watch, steps: int) -> Iterator[None]:
    """Yield for the first state and after every step; stop early, with ``watch.failure`` set, when the run fails.

    Args:
        dynamics: its ``nsteps`` counts from the beginning of the whole run, also where that goes on after a pause.
        watch: looks at every state.
        steps: further ones.
    """
    atoms = dynamics.atoms
    atoms.get_forces()
    reason = None
    try:
        for _ in dynamics.irun(steps):
            reason = watch.fails(atoms, dynamics.nsteps)
            if reason:
                break
            yield
    except (CalculationFailed, ScalarFidError) as error:
        reason = f"the surface gives no answer: {error}"
    if reason:
        watch.failure = Failure(dynamics.get_time() / (1000 * fs), reason)


@dataclass(frozen=True)
class Schedule:
    """Of a run in a Langevin heat bath.

    Attributes:
        temperatures: K, one a stretch; the state at the end of every stretch is kept.
        stretch: steps of a stretch.
        timestep: fs.
        friction: 1/ps.
        seed: of velocities and noise.
    """

    temperatures: Sequence[float]
    stretch: int
    timestep: float
    friction: float
    seed: int


def heated(
    start: Atoms, calculator: Calculator, schedule: Schedule, path: Path | None = None, *, label: str = "NVT"
) -> tuple[list[Atoms], Failure | None]:
    """Run as scheduled; the states kept, with velocities, and the failure if there is one.

    The noise of a stretch depends on (seed, stretch) alone, so that a run that was interrupted and goes on is the run
    that was not (to the last bit where the calculator has no memory).

    Args:
        start: without velocities; they are drawn for the first temperature.
        calculator: of the surface.
        schedule: of the run.
        path: .traj file, written after every stretch; what it holds is not run again. A failure lies beside it.
        label: of the progress bar.
    """
    with held(path):
        frames, failure = _kept(path)
        if failure is None and len(frames) < len(schedule.temperatures):
            failure = _heat(frames, start, calculator, schedule, path=path, label=label)
    return frames, failure


def _heat(
    frames: list[Atoms], start: Atoms, calculator: Calculator, schedule: Schedule, *, path: Path | None, label: str
) -> Failure | None:
    """Run the stretches that ``frames`` lack, add and keep their states, and say how the run failed if it did."""
    atoms = frames[-1].copy() if frames else moving(start, schedule.temperatures[0], schedule.seed)
    atoms.calc = calculator
    step, friction = schedule.timestep * fs, schedule.friction / (1000 * fs)
    dynamics = Langevin(atoms, step, temperature_K=schedule.temperatures[0], friction=friction, fixcm=False)
    dynamics.nsteps = len(frames) * schedule.stretch
    watch = Watch(start, schedule.temperatures[0])
    for k in progress(range(len(frames), len(schedule.temperatures)), label):
        dynamics.set_temperature(temperature_K=schedule.temperatures[k])
        watch.temperature = max(schedule.temperatures[max(k - 1, 0) : k + 1])
        dynamics.rng = np.random.default_rng([schedule.seed, k])
        for _ in follow(dynamics, watch, schedule.stretch):
            pass
        if watch.failure:
            _keep_failure(path, watch.failure)
            break
        frames.append(atoms.copy())
        _keep(path, frames[-1])
    return watch.failure


def _kept(path: Path | None) -> tuple[list[Atoms], Failure | None]:
    """States of an earlier run and how it failed; none where the file was cut off before its first state."""
    if path is None:
        return [], None
    failed = read_json(path.with_suffix(FAILED))
    failure = None if failed is None else Failure(**failed)
    if not path.is_file():
        return [], failure
    try:
        with Trajectory(path) as kept:
            return list(kept), failure
    except InvalidULMFileError:
        path.unlink()
        return [], failure


def _keep(path: Path | None, atoms: Atoms) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Trajectory(path, "a") as kept:
            kept.write(atoms)


def _keep_failure(path: Path | None, failure: Failure) -> None:
    if path is not None:
        write_json(path.with_suffix(FAILED), asdict(failure))


def _pair(atoms: Atoms, i: int, j: int) -> str:
    return symbols((int(atoms.numbers[i]), int(atoms.numbers[j])))
