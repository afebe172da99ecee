"""Runs at constant energy: velocity Verlet with a row a step, kept on the way, and the jumps that a record has.

x(t + dt) = x + dt v(t + dt/2), v(t + dt/2) = v + dt F(x)/2m: the state is x and v alone, so that a run which goes on
from a kept state is the run that was never interrupted (to the last bit where the calculator has no memory).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.md.verlet import VelocityVerlet
from ase.units import fs
from numpy.typing import NDArray

from scalarfid.files import replacing
from scalarfid.log import progress
from scalarfid.physics.dynamics import Failure, Watch, follow, moving, pairs
from scalarfid.physics.kept import held
from scalarfid.physics.surface import Surface

KEEP = 200
"""Steps between the states that an interrupted run goes on from."""


@dataclass(frozen=True)
class Course:
    """Of a run.

    Attributes:
        temperature: K, near which it settles; it starts with velocities of twice as much.
        timestep: fs.
        settle: ps before the record.
        duration: ps, recorded.
        seed: of the velocities.
    """

    temperature: float
    timestep: float
    settle: float
    duration: float
    seed: int

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return round(1000 * (self.settle + self.duration) / self.timestep)

    @property
    def unrecorded(self) -> int:
        """Steps before the record."""
        return round(1000 * self.settle / self.timestep)


@dataclass(frozen=True)
class Record:
    """Of one run, a value a step.

    Attributes:
        time: [K] in ps.
        total: [K] total energy per atom in meV, relative to the first.
        kinetic: [K] per atom in meV.
        edges: [K] number of pairs within the cutoff, zero where it is not known.
        atoms: how many.
        failure: if the run ended early.
    """

    time: NDArray[np.float64]
    total: NDArray[np.float64]
    kinetic: NDArray[np.float64]
    edges: NDArray[np.int64]
    atoms: int
    failure: Failure | None = None


Rows = list[tuple[int, float, float, int]]
"""Step, potential and kinetic energy in eV, number of edges."""


def run(surface: Surface, start: Atoms, course: Course, path: Path | None = None, *, label: str = "NVE") -> Record:
    """Run from the structure ``start`` and give what comes after settling; all of it where the run fails.

    Args:
        surface: asked step by step.
        start: without velocities.
        course: of the run.
        path: .npz file of rows and state, written every ``KEEP`` steps and at the end; what it holds is not run again.
        label: of the progress bar.
    """
    with held(path):
        atoms = moving(start, 2 * course.temperature, course.seed)
        rows, failure = _kept(path, atoms)
        if failure is None and len(rows) <= course.steps:
            atoms.calc = surface.calculator()
            dynamics, watch = VelocityVerlet(atoms, course.timestep * fs), Watch(start, course.temperature)
            dynamics.nsteps, left = len(rows), course.steps - len(rows)
            states = progress(follow(dynamics, watch, left), label, total=left + 1)
            _note(rows, dynamics, states, surface.cutoff, path)
            failure = watch.failure
            _keep(path, rows, atoms, failure)
    return _record(rows, course, len(start), failure)


def _note(
    rows: Rows, dynamics: VelocityVerlet, states: Iterable[None], cutoff: float | None, path: Path | None
) -> None:
    """Add a row for every state of ``dynamics``, and keep rows and state now and then."""
    atoms = dynamics.atoms
    for _ in states:
        if rows and dynamics.nsteps % KEEP == 0:
            _keep(path, rows, atoms)
        edges = 0 if cutoff is None else pairs(atoms, cutoff)[0].shape[1]
        rows.append((dynamics.nsteps, atoms.get_potential_energy(), atoms.get_kinetic_energy(), edges))


def _record(rows: Rows, course: Course, atoms: int, failure: Failure | None) -> Record:
    first = 0 if failure else course.unrecorded
    step, potential, kinetic, edges = np.array(rows).T[:, first:] if rows else np.zeros((4, 0))
    total = (potential + kinetic) * 1000 / atoms
    time = step * course.timestep / 1000
    return Record(time, total - total[:1], kinetic * 1000 / atoms, edges.astype(int), atoms, failure)


def jumps(record: Record) -> tuple[float, float]:
    """Largest jump of the total energy in meV where the neighbour list changes, and where it does not.

    A jump is a step of E that its neighbours do not have, |ΔE_k − ½(ΔE_k−1 + ΔE_k+1)|; steps beside a change of the
    list belong to neither. Not finite where there are no such steps.
    """
    change = np.diff(record.total) * record.atoms
    jump = np.abs(change[1:-1] - 0.5 * (change[:-2] + change[2:]))
    changes = np.diff(record.edges) != 0
    here, beside = changes[1:-1], changes[:-2] | changes[2:]
    kinds = (jump[here], jump[~here & ~beside])
    listed, other = (float(kind.max()) if kind.size else float("nan") for kind in kinds)
    return listed, other


def _kept(path: Path | None, atoms: Atoms) -> tuple[Rows, Failure | None]:
    """Rows before the state that was kept, which ``atoms`` are put into, and how the run failed if it did."""
    if path is None or not path.is_file():
        return [], None
    with np.load(path) as kept:
        atoms.positions = kept["positions"]
        atoms.set_momenta(kept["momenta"])
        failure = Failure(float(kept["failure"][0]), str(kept["failure"][1])) if kept["failure"].size else None
        return [(int(k), float(e), float(t), int(edges)) for k, e, t, edges in kept["rows"]], failure


def _keep(path: Path | None, rows: Rows, atoms: Atoms, failure: Failure | None = None) -> None:
    if path is not None:
        end = [] if failure is None else [str(failure.time), failure.reason]
        state = {"positions": atoms.positions, "momenta": atoms.get_momenta(), "failure": np.array(end, dtype=str)}
        with replacing(path) as temporary:
            np.savez(temporary, rows=np.array(rows).reshape(-1, 4), **state)
