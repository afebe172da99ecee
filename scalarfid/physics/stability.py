"""Stability: how many short runs in a heat bath survive, by temperature, over several seeds.

A run fails by a temperature spike, by atoms too close, by a bond of a molecule out of range, or where the surface gives
no answer. The fraction that survives has Wilson's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from ase import Atoms
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.intervals import wilson
from scalarfid.physics.crystals import level_of
from scalarfid.physics.dynamics import LANGEVIN, Failure, Schedule, described, heated, resolved, starts
from scalarfid.physics.kept import Store
from scalarfid.physics.options import Options, limited
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

STRETCH = 100
"""Steps between states that an interrupted run goes on from."""
Ends = dict[float, list[Failure | None]]
"""What became of every run, by temperature: its failure, or None."""


@dataclass
class StabilityOptions(Options):
    """Options of the runs.

    Attributes:
        temperatures: K.
        seeds: runs at each.
        duration: ps, a multiple of 100 steps.
        timestep: fs.
        friction: 1/ps.
        atoms: of a crystal's supercell, at most.
        seed: the first.
        against: whether the reference runs as well.
    """

    temperatures: list[float] = field(default_factory=lambda: [300.0, 600.0, 1000.0])
    seeds: int = 3
    duration: float = 1.0
    timestep: float = 1.0
    friction: float = 10.0
    atoms: int = 16
    seed: int = limited(0, least=0)
    against: bool = True

    def check(self, question: str) -> None:
        """Refuse also a duration that is no multiple of the stretches."""
        super().check(question)
        stretches(self)


def stretches(options: StabilityOptions) -> int:
    """How many times ``STRETCH`` steps a run has.

    Raises:
        ScalarFidError: the duration is no multiple of them.
    """
    stretch = STRETCH * options.timestep / 1000
    count = round(options.duration / stretch)
    if count < 1 or not np.isclose(count * stretch, options.duration, rtol=1e-9, atol=0.0):
        raise ScalarFidError(
            f"stability.duration={options.duration:g} ps is no multiple of {STRETCH} steps of {options.timestep:g} fs;"
            f" give {max(count, 1) * stretch:g}, or another stability.timestep"
        )
    return count


def runs(surface: Surface, title: str, start: Atoms, options: StabilityOptions, store: Store) -> Ends:
    """What became of every run; those in the store are not run again."""
    found: Ends = {temperature: [] for temperature in options.temperatures}
    for temperature, ends in found.items():
        for seed in range(options.seed, options.seed + options.seeds):
            schedule = Schedule([temperature] * stretches(options), STRETCH, options.timestep, options.friction, seed)
            key = f"{title}, {temperature:g} K, seed {seed}"
            path = store.place(surface, f"{key}.traj", start, schedule)
            ends.append(heated(start, surface.calculator(), schedule, path, label=f"NVT: {key}")[1])
    return found


def lifetimes(ends: Sequence[Failure | None]) -> NDArray[np.float64]:
    """Times of the failures in ps, infinite where a run came to its end."""
    return np.array([np.inf if end is None else end.time for end in ends])


def survival_curve(times: NDArray[np.float64], duration: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When, in ps, the fraction of runs that go on steps down, and to what, both [K], from 0 to the end.

    ``times`` are those of :func:`lifetimes`.
    """
    ends = np.sort(times[np.isfinite(times)])
    alive = 1 - np.arange(len(ends) + 1) / len(times)
    return np.array([0.0, *ends, duration]), np.append(alive, alive[-1])


def survival(ends: Sequence[Failure | None]) -> dict[str, Number]:
    """Fraction without a failure, with Wilson's interval, and the times of the failures."""
    failures = sorted((end for end in ends if end is not None), key=lambda end: end.time)
    survivors = len(ends) - len(failures)
    low, high = wilson(survivors, len(ends))
    return {
        "survived": Number(survivors / len(ends), "", low, high),
        "first_failure": failures[0].number if failures else Number(None, "ps"),
        "median_failure": Number(float(np.median([end.time for end in failures])) if failures else None, "ps"),
    }


def fault_of(title: str, ends: Sequence[Failure | None], truth: Sequence[Failure | None] | None) -> str | None:
    """What is wrong where fewer runs survive than of the reference, or than all without one."""
    failures = sorted((end for end in ends if end is not None), key=lambda end: end.time)
    expected = 0 if truth is None else sum(end is not None for end in truth)
    if len(failures) <= expected:
        return None
    beside = "" if truth is None else f" ({expected} of the reference's)"
    first = f"the first after {failures[0].time:.3g} ps: {failures[0].reason}"
    return f"{title}: {len(failures)} of {len(ends)} runs{beside} fail, {first}"


def draw(outcome: Outcome, figure: Figure) -> None:
    """Fraction of runs that still go on against time, a colour a temperature, the reference dashed."""
    axes, duration = figure.subplots(), outcome.settings["duration"]
    for k, temperature in enumerate(outcome.settings["temperatures"]):
        for role, style, name in (("model", "-", outcome.model), ("reference", "--", outcome.reference)):
            times = outcome.arrays.get(f"{temperature:g}K.{role}.lifetimes")
            if times is not None:
                look = {"color": f"C{k}", "linestyle": style, "label": f"{temperature:g} K, {name}"}
                _draw_survival(axes, times, duration, look)
    axes.set(xlabel="t (ps)", ylabel="fraction of runs that go on", ylim=(-0.05, 1.05))
    axes.legend()


def _draw_survival(axes: Axes, times: NDArray[np.float64], duration: float, look: dict[str, str]) -> None:
    """Steps down at every failure, Wilson's interval at the end."""
    axes.step(*survival_curve(times, duration), where="post", **look)
    survivors = int(np.isinf(times).sum())
    alive, (low, high) = survivors / len(times), wilson(survivors, len(times))
    axes.errorbar(duration, alive, [[alive - low], [high - alive]], color=look["color"], capsize=3)


@diagnostic("stability", StabilityOptions, draw, needs=("structure",), resumes=True)
def measure(
    model: Surface, reference: Surface | None, system: System, options: StabilityOptions, work: Path | None = None
) -> Outcome:
    """Run everything at every temperature with every seed, and the reference likewise.

    Raises:
        ScalarFidError: a duration that is no multiple of ``STRETCH`` steps.
    """
    asked = {"model": model} | ({"reference": reference} if reference is not None and options.against else {})
    structures, store = dict(starts(system, options.atoms)), Store(system, work)
    every: dict[str, Ends] = {role: {temperature: [] for temperature in options.temperatures} for role in asked}
    numbers, faults = {}, []
    for name, start in structures.items():
        found = {role: runs(surface, f"{name}, {role}", start, options, store) for role, surface in asked.items()}
        for role, by_temperature in found.items():
            prefix = name if role == "model" else f"{name}.{role}"
            for temperature, ends in by_temperature.items():
                numbers |= {f"{prefix}.{temperature:g}K.{of}": number for of, number in survival(ends).items()}
                every[role][temperature] += ends
        for temperature, ends in found["model"].items():
            truth = found["reference"][temperature] if "reference" in found else None
            faults.append(fault_of(f"{name} at {temperature:g} K", ends, truth))
    survived = {role: survival([*chain.from_iterable(ends.values())])["survived"] for role, ends in every.items()}
    failed = {role: Number(1 - fraction.value, "") for role, fraction in survived.items()}
    numbers["survived"] = survived["model"]
    numbers["failed"] = failed["model"].headline("less", failed.get("reference"))
    settings = resolved(options, {name: described(start) for name, start in structures.items()}) | LANGEVIN
    settings["reference_level"] = level_of(asked.get("reference"), system)
    faults = [fault for fault in faults if fault]
    arrays = {f"{t:g}K.{role}.lifetimes": lifetimes(of) for role, ends in every.items() for t, of in ends.items()}
    return Outcome("stability", model.name, reference and reference.name, settings, numbers, arrays, faults)
