"""Energy drift: whether the total energy stays where it was, in float64 and in float32, beside the reference's.

Velocity Verlet from the undisturbed structure with velocities of twice the temperature, of which half becomes potential
energy; model and reference start alike. On a conservative surface the error of the total energy comes from the
integrator alone and falls as dt². What does not fall, and what the reference does not have, is the surface's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.intervals import slope
from scalarfid.physics.crystals import level_of
from scalarfid.physics.dynamics import described, resolved, starts
from scalarfid.physics.kept import Store
from scalarfid.physics.microcanonical import Course, Record, jumps, run
from scalarfid.physics.options import Options, limited
from scalarfid.physics.outcome import Number, Outcome, grid
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System

Array = NDArray[np.float64]
DRIFT = 0.05
"""meV/atom/ps; a slower drift is no fault."""
JUMP = 1.0
"""meV; a smaller jump of the total energy is no fault."""
FACTOR = 5.0
"""A jump is a fault where it is so many times larger than those of other steps and of the reference."""
BLOCKS = 10
"""Of a record, for the interval of its slope."""
PRECISIONS = ("float64", "float32")
DRAWN = 50
"""Points of a line of means in the picture."""


@dataclass
class NveOptions(Options):
    """Options of the runs.

    Attributes:
        temperature: K, near which the runs settle.
        atoms: of a crystal's supercell, at most.
        duration: ps, recorded.
        settle: ps, before the record.
        timesteps: fs.
        seed: of the velocities.
    """

    temperature: float = 300
    atoms: int = 16
    duration: float = 1.0
    settle: float = limited(0.1, least=0)
    timesteps: list[float] = field(default_factory=lambda: [0.5, 1.0, 2.0])
    seed: int = limited(0, least=0)

    def check(self, question: str) -> None:
        """Refuse also fewer steps than blocks."""
        super().check(question)
        longest = max(self.timesteps)
        if 1000 * self.duration < BLOCKS * longest:
            raise ScalarFidError(
                f"nve.duration={self.duration:g} ps is too short; give {BLOCKS} steps of {longest:g} fs or more."
            )

    def course(self, timestep: float) -> Course:
        """Of the run at one time step."""
        return Course(self.temperature, timestep, self.settle, self.duration, self.seed)


def numbers(record: Record) -> dict[str, Number]:
    """What a run amounts to.

    ``drift_over_kinetic_sigma`` is mlipaudit's measure (its benchmark ``nve_energy_conservation``): the fitted drift
    over the run, divided by the standard deviation of the kinetic energy; here with its sign, both per atom.
    """
    if record.failure is not None:
        return {"failure_time": record.failure.number}
    rate, half = slope(record.time, record.total, BLOCKS)
    line = np.polyval(np.polyfit(record.time, record.total, 1), record.time)
    listed, other = jumps(record)
    spread = record.kinetic.std()
    return {
        "slope": Number(rate, "meV/atom/ps", rate - half, rate + half),
        "drift_over_kinetic_sigma": Number(rate * np.ptp(record.time) / spread, ""),
        "energy_error": Number(float((record.total - line).std()), "meV/atom"),
        "jump_at_list_change": Number(listed if np.isfinite(listed) else None, "meV"),
        "jump_otherwise": Number(other if np.isfinite(other) else None, "meV"),
        "failure_time": Number(None, "ps"),
    }


def order(found: Mapping[float, Mapping[str, Number]]) -> float | None:
    """The power p of energy error ∝ dtᵖ, by least squares of the logarithms; 2 for a conservative surface."""
    errors = {dt: values["energy_error"].value for dt, values in found.items() if "energy_error" in values}
    if len(errors) < 2 or min(errors.values()) <= 0:
        return None
    return float(np.polyfit(np.log(list(errors)), np.log(list(errors.values())), 1)[0])


def drift_fault(
    name: str, found: Mapping[float, Mapping[str, Number]], truth: Mapping[float, Mapping[str, Number]]
) -> list[str]:
    """A slope at the shortest step that is not zero, not the integrator's and not the reference's.

    The integrator's falls with the step at least as dt, the geometric mean of dt² and no fall at all; that is tested
    where there are two steps or more.
    """
    slopes = {dt: values["slope"] for dt, values in found.items() if "slope" in values}
    if not slopes:
        return []
    short, long = min(slopes), max(slopes)
    least = _bounds(slopes[short])[0]
    integrator = _bounds(slopes[long])[1] * short / long if long > short else 0.0
    beside = truth.get(short, {}).get("slope")
    reference = _bounds(beside)[1] if beside else 0.0
    if least <= max(DRIFT, integrator, reference):
        return []
    rate = slopes[short]
    beyond = (
        "more than the integrator's dt² explains"
        if long > short
        else "the only step measured, so that dt² is not tested"
    )
    against = f", the reference by {beside.value:.2g}" if beside else ""
    size = f"{rate.value:.3g} ({rate.low:.3g} … {rate.high:.3g}) meV/atom/ps at {short:g} fs"
    return [f"{name}: the total energy drifts by {size}, {beyond}{against}"]


def _bounds(number: Number) -> tuple[float, float]:
    """Least and largest size of a number within its interval."""
    half = (number.high - number.low) / 2
    return max(0.0, abs(number.value) - half), abs(number.value) + half


def jump_fault(
    name: str, found: Mapping[float, Mapping[str, Number]], truth: Mapping[float, Mapping[str, Number]]
) -> list[str]:
    """Jumps at changes of the neighbour list, at the shortest step, that neither other steps nor the reference have."""
    steps = [dt for dt, values in found.items() if values.get("jump_at_list_change", Number(None, "")).value]
    if not steps:
        return []
    values, beside = found[min(steps)], truth.get(min(steps), {})
    jump = values["jump_at_list_change"].value
    usual = [values["jump_otherwise"].value, getattr(beside.get("jump_at_list_change"), "value", None)]
    if jump <= max(JUMP, *(FACTOR * (value or 0.0) for value in usual)):
        return []
    return [f"{name}: the total energy jumps by {jump:.3g} meV when the neighbour list changes"]


def _headline(
    name: str, found: Mapping[float, Mapping[str, Number]], truth: Mapping[float, Mapping[str, Number]]
) -> dict[str, Number]:
    """Slope and jump at changes of the list at the shortest step; no value where that run failed."""
    short = min(found)
    of_model, of_reference = found[short], truth.get(short, {})
    headlines = {}
    for of, unit, better in (("slope", "meV/atom/ps", "zero"), ("jump_at_list_change", "meV", "less")):
        number = of_model.get(of, Number(None, unit))
        headlines[f"{name}.{short:g}fs.{of}"] = number.headline(better, of_reference.get(of))
    return headlines


def _failures(name: str, records: Mapping[float, Record], truth: Mapping[float, Record]) -> list[str]:
    return [
        f"{name}: the run at {dt:g} fs fails after {record.failure.time:.3g} ps: {record.failure.reason}"
        for dt, record in records.items()
        if record.failure and not (dt in truth and truth[dt].failure)
    ]


def _runs(surface: Surface, title: str, start: Atoms, options: NveOptions, store: Store) -> dict[float, Record]:
    """A record a time step; what the store has is not run again."""
    records = {}
    for dt in options.timesteps:
        key = f"{title}, {dt:g} fs"
        path = store.place(surface, f"{key}.npz", start, options.course(dt))
        records[dt] = run(surface, start, options.course(dt), path, label=f"NVE: {key}")
    return records


def _surfaces(model: Surface) -> Iterator[tuple[str, Surface]]:
    for dtype in PRECISIONS:
        other = model.at(dtype)
        if other is not None:
            yield dtype, other


def draw(outcome: Outcome, figure: Figure) -> None:
    """One panel a structure and precision: total energy against time, a colour a time step, the reference dashed."""
    groups = sorted({tuple(key.split("|")[:2]) for key in outcome.arrays if key.endswith("|total")})
    shown = [group for group in groups if group[1] != "reference"]
    for axes, (name, precision) in zip(grid(figure, len(shown), width=4.6, height=3.4), shown, strict=False):
        steps = outcome.settings["timesteps"]
        for k, dt in enumerate(steps):
            label = _described(outcome.numbers, f"{name}.{precision}.{dt:g}fs", dt)
            if record := _drawn(outcome, name, precision, dt):
                axes.plot(*record, color=f"C{k}", linewidth=0.4, alpha=0.2)
                axes.plot(*_means(*record), color=f"C{k}", label=label)
            if record := _drawn(outcome, name, "reference", dt):
                axes.plot(*_means(*record), "k--", label=None if k else outcome.reference)
        sound = [dt for dt in steps if f"{name}.{precision}.{dt:g}fs.slope" in outcome.numbers]
        if sound:  # a run that fails may leave the picture
            totals = np.concatenate([outcome.arrays[f"{name}|{precision}|{dt:g}fs|total"] for dt in sound])
            axes.set_ylim(totals.min() - 0.1 * np.ptp(totals), totals.max() + 0.1 * np.ptp(totals))
        axes.set(title=f"{name}, {precision}", xlabel="t (ps)", ylabel="E − E₀ (meV/atom)")
        axes.legend(fontsize="small")


def _described(numbers: Mapping[str, Number], prefix: str, dt: float) -> str:
    """Time step and slope, or when the run failed."""
    found, failure = numbers.get(f"{prefix}.slope"), numbers[f"{prefix}.failure_time"]
    if found is None:
        return f"{dt:g} fs, fails after {failure.value:.2g} ps"
    return f"{dt:g} fs, {found.value:.1e} ± {(found.high - found.low) / 2:.1e} meV/atom/ps"


def _drawn(outcome: Outcome, name: str, kind: str, dt: float) -> tuple[Array, Array] | None:
    """Times and total energies of a run that has any."""
    time, total = (outcome.arrays.get(f"{name}|{kind}|{dt:g}fs|{of}") for of in ("time", "total"))
    return None if total is None or not total.size else (time, total)


def _means(*record: Array) -> Iterator[list[float]]:
    """Of stretches of equal length of every array of a record."""
    for values in record:
        yield [part.mean() for part in np.array_split(values, min(DRAWN, len(values)))]


@diagnostic("nve", NveOptions, draw, needs=("structure",), resumes=True)
def measure(
    model: Surface, reference: Surface | None, system: System, options: NveOptions, work: Path | None = None
) -> Outcome:
    """Run model and reference at every time step and judge the model."""
    found, arrays, faults = {}, {}, []
    structures, store = dict(starts(system, options.atoms)), Store(system, work)
    for name, start in structures.items():
        truths = {} if reference is None else _runs(reference, f"{name}, reference", start, options, store)
        asked = {key: _runs(other, f"{name}, {key}", start, options, store) for key, other in _surfaces(model)}
        truth = {dt: numbers(record) for dt, record in truths.items()}
        for key, records in {**asked, **({"reference": truths} if truths else {})}.items():
            values = {dt: numbers(record) for dt, record in records.items()}
            found |= {f"{name}.{key}.{dt:g}fs.{of}": v for dt, row in values.items() for of, v in row.items()}
            found[f"{name}.{key}.energy_error_order"] = Number(order(values), "")
            if key in PRECISIONS:
                found |= _headline(f"{name}.{key}", values, truth)
            for dt, record in records.items():
                arrays |= {f"{name}|{key}|{dt:g}fs|{of}": getattr(record, of) for of in ("time", "total", "kinetic")}
            if key != "reference":
                title = f"{name} in {key}"
                faults += _failures(title, records, truths) + drift_fault(title, values, truth)
                faults += jump_fault(title, values, truth)
    settings = resolved(options, {name: described(start) for name, start in structures.items()}) | {
        "integrator": "velocity Verlet",
        "thermostat": "none",
        "start": "undisturbed, velocities of twice the temperature",
        "reference_level": level_of(reference, system),
        "blocks": BLOCKS,
        "drift_from_meV_per_atom_per_ps": DRIFT,
        "jump_from_meV": JUMP,
        "jump_from_times_others": FACTOR,
    }
    return Outcome("nve", model.name, reference and reference.name, settings, found, arrays, faults)
