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
from matplotlib.figure import Figure

from scalarfid.intervals import wilson
from scalarfid.physics.crystals import level_of
from scalarfid.physics.dynamics import LANGEVIN, Failure, Schedule, described, heated, resolved, starts
from scalarfid.physics.kept import Store
from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

STRETCH = 100
"""Steps between states that an interrupted run goes on from."""


@dataclass
class StabilityOptions:
    """Options of the runs.

    Attributes:
        temperatures: K.
        seeds: runs at each.
        duration: ps.
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
    seed: int = 0
    against: bool = True


def runs(
    surface: Surface, title: str, start: Atoms, options: StabilityOptions, store: Store
) -> dict[float, list[Failure | None]]:
    """What became of every run, by temperature: its failure, or None; those in the store are not run again."""
    stretches = max(1, round(1000 * options.duration / options.timestep / STRETCH))
    found: dict[float, list[Failure | None]] = {temperature: [] for temperature in options.temperatures}
    for temperature, ends in found.items():
        for seed in range(options.seed, options.seed + options.seeds):
            schedule = Schedule([temperature] * stretches, STRETCH, options.timestep, options.friction, seed)
            key = f"{title}, {temperature:g} K, seed {seed}"
            path = store.place(surface, f"{key}.traj", start, schedule)
            ends.append(heated(start, surface.calculator(), schedule, path, label=f"NVT: {key}")[1])
    return found


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
    """Fraction that survives against temperature, a line a structure, the reference dashed."""
    axes = figure.subplots()
    for key in sorted(key for key in outcome.arrays if key.endswith("|survived")):
        name, role, _ = key.split("|")
        fraction, low, high = outcome.arrays[key].T
        bars = np.abs(np.stack([fraction - low, high - fraction]))
        style = "o-" if role == "model" else "k--"
        title = f"{name}, {outcome.model if role == 'model' else outcome.reference}"
        axes.errorbar(outcome.settings["temperatures"], fraction, bars, fmt=style, capsize=3, label=title)
    axes.set(xlabel="T (K)", ylabel=f"survive {outcome.settings['duration']:g} ps", ylim=(-0.05, 1.05))
    axes.legend()


@diagnostic("stability", StabilityOptions, draw, needs=("structure",), resumes=True)
def measure(
    model: Surface, reference: Surface | None, system: System, options: StabilityOptions, work: Path | None = None
) -> Outcome:
    """Run everything at every temperature with every seed, and the reference likewise."""
    beside = reference if options.against else None
    numbers, arrays, faults = {}, {}, []
    every: dict[str, list[Failure | None]] = {"model": [], "reference": []}
    structures, store = dict(starts(system, options.atoms)), Store(system, work)
    for name, start in structures.items():
        found = {"model": runs(model, f"{name}, model", start, options, store)}
        if beside is not None:
            found["reference"] = runs(beside, f"{name}, reference", start, options, store)
        for role, ends in found.items():
            rows = {temperature: survival(of) for temperature, of in ends.items()}
            prefix = name if role == "model" else f"{name}.{role}"
            numbers |= {f"{prefix}.{t:g}K.{of}": number for t, row in rows.items() for of, number in row.items()}
            fractions = [row["survived"] for row in rows.values()]
            arrays[f"{name}|{role}|survived"] = np.array([(of.value, of.low, of.high) for of in fractions])
            every[role] += chain.from_iterable(ends.values())
        for temperature, ends in found["model"].items():
            truth = found["reference"][temperature] if "reference" in found else None
            faults.append(fault_of(f"{name} at {temperature:g} K", ends, truth))
    numbers["survived"] = survival(every["model"])["survived"]
    failed = {role: Number(1 - survival(ends)["survived"].value, "") for role, ends in every.items() if ends}
    numbers["failed"] = failed["model"].headline("less", failed.get("reference"))
    settings = resolved(options, {name: described(start) for name, start in structures.items()}) | LANGEVIN
    settings["reference_level"] = level_of(beside, system)
    faults = [fault for fault in faults if fault]
    return Outcome("stability", model.name, reference and reference.name, settings, numbers, arrays, faults)
