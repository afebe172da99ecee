"""The liquid: g(r) of a melt beside the reference's own, and whether neighbours come too close.

The crystal, scaled to the density of the liquid, is melted hot and then held at its temperature in a Langevin bath;
model and reference follow the same protocol from the same velocities and noise. Whatever is compared is measured in
each of five blocks of the counted frames: intervals are Student's over blocks. What is no liquid is described and not
judged: a crystal or a glass has other distances than the melt, whatever the potential's wall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import _amu
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.intervals import half_width
from scalarfid.physics.crystals import level_of, same_level
from scalarfid.physics.dynamics import LANGEVIN, Failure, Schedule, described, heated, resolved, supercell
from scalarfid.physics.kept import Store
from scalarfid.physics.options import Options, limited
from scalarfid.physics.outcome import Number, Outcome, grid
from scalarfid.physics.phases import BRAGG, GLASS, no_liquid, order, valley
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.shells import BLOCKS, ONSET, Curve, Shell, curve, overlap, shell_end
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System, symbols

Array = NDArray[np.float64]

# Temperature in K, a little above melting, and density in g/cm³ of the liquid at its melting point (CRC Handbook).
_LIQUIDS = {"Ag": (1400.0, 9.32), "Si": (1800.0, 2.57), "LiF": (1300.0, 1.81)}


@dataclass
class LiquidOptions(Options):
    """Options of the melt.

    Attributes:
        temperature: K; null for the table's.
        density: g/cm³; null for the table's.
        superheat: temperature of melting, in temperatures of the liquid.
        atoms: of the supercell, at most.
        melt: ps at the high temperature.
        settle: ps at the temperature, not counted.
        duration: ps, counted.
        every: fs between frames.
        timestep: fs.
        friction: 1/ps.
        seed: of velocities and noise.
        bins: of g(r).
        furthest: Å; at most half the height of the cell.
    """

    temperature: float | None = None
    density: float | None = None
    superheat: float = 2.5
    atoms: int = 64
    melt: float = limited(0.6, least=0)
    settle: float = limited(0.6, least=0)
    duration: float = 2.0
    every: float = 20
    timestep: float = 2.0
    friction: float = 10.0
    seed: int = limited(0, least=0)
    bins: int = limited(120, least=2)
    furthest: float = 6.0

    @property
    def stretch(self) -> int:
        """Steps between frames; a ScalarFidError where frames lie between two steps."""
        count = round(self.every / self.timestep)
        if count < 1 or abs(count * self.timestep - self.every) > 1e-6:
            raise ScalarFidError(
                f"rdf.every={self.every:g} fs is no multiple of rdf.timestep={self.timestep:g} fs; give one that is."
            )
        return count

    def check(self, question: str) -> None:
        """Refuse also frames between two steps, and fewer frames than blocks."""
        super().check(question)
        _ = self.stretch
        if round(1000 * self.duration / self.every) < BLOCKS:
            raise ScalarFidError(
                f"rdf.duration={self.duration:g} ps is too short; give {BLOCKS} frames every {self.every:g} fs or more."
            )


def density_of(atoms: Atoms) -> float:
    """In g/cm³."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * _amu * 1e27)


def melt_of(crystal: Atoms, options: LiquidOptions) -> tuple[Atoms, Schedule, int]:
    """The scaled crystal, the schedule, and how many frames at its end count.

    Raises:
        ScalarFidError: temperature or density neither given nor in the table, frames between two steps.
    """
    formula = crystal.get_chemical_formula("metal", empirical=True)
    temperature, density = _LIQUIDS.get(formula, (None, None))
    temperature, density = options.temperature or temperature, options.density or density
    if temperature is None or density is None:
        raise ScalarFidError(f"no liquid {formula} is known; give rdf.temperature (K) and rdf.density (g/cm³)")
    cell = supercell(crystal, options.atoms)
    cell.set_cell(cell.cell * (density_of(cell) / density) ** (1 / 3), scale_atoms=True)
    hot, settle, counted = (round(1000 * t / options.every) for t in (options.melt, options.settle, options.duration))
    temperatures = [options.superheat * temperature] * hot + [temperature] * (settle + counted)
    return cell, Schedule(temperatures, options.stretch, options.timestep, options.friction, options.seed), counted


def _stated(crystal: Atoms, options: LiquidOptions) -> dict[str, Any]:
    """What a melt really has, given or from the table."""
    cell, schedule, counted = melt_of(crystal, options)
    return described(cell) | {
        "temperature_K": schedule.temperatures[-1],
        "melted_at_K": schedule.temperatures[0],
        "density_g_per_cm3": round(density_of(cell), 6),
        "frames": counted,
    }


def compare(name: str, model: Curve, reference: Curve | None) -> tuple[dict[str, Number], list[str]]:
    """Numbers of a pair, differences from the reference with intervals, and whether neighbours come too close.

    They do if the difference of the onset (model − reference, negative is closer) lies below zero with its interval.
    """
    ends = shell_end((reference or model).g, model.edges)
    whole, parts = model.shells(ends)
    units = {"onset": "Å", "peak": "Å", "height": "", "coordination": ""}
    numbers = {of: _number(getattr(whole, of), _of(parts, of), unit) for of, unit in units.items()}
    faults = []
    if reference is not None:
        truth, others = reference.shells(ends)
        for of, unit in units.items():
            numbers[f"reference_{of}"] = _number(getattr(truth, of), _of(others, of), unit)
            shift = getattr(whole, of) - getattr(truth, of)
            numbers[f"{of}_difference"] = _number(shift, _of(parts, of) - _of(others, of), unit)
        numbers["overlap"] = Number(overlap(model.g, reference.g), "")
        halves = np.array_split(reference.blocks, 2)
        numbers["overlap_of_reference_halves"] = Number(overlap(*(half.mean(axis=0) for half in halves)), "")
        numbers["onset_difference"] = numbers["onset_difference"].headline("zero")
        faults = _too_close(name, numbers["onset_difference"])
    else:
        numbers["onset"] = numbers["onset"].headline("reference")
    return {f"{name}.{of}": number for of, number in numbers.items()}, faults


def _of(shells: Sequence[Shell], of: str) -> Array:
    return np.array([getattr(part, of) for part in shells])


def _number(value: float, blocks: Array, unit: str) -> Number:
    half = half_width(blocks)
    return Number(value, unit, value - half, value + half)


def _too_close(name: str, shift: Number) -> list[str]:
    if not shift.high < 0:
        return []
    size = f"{-shift.value:.3f} Å ({-shift.high:.3f} … {-shift.low:.3f})"
    return [f"{name}: neighbours come too close, the first shell begins {size} before the reference's"]


def moved(frames: Sequence[Atoms]) -> float:
    """Root mean square displacement in Å between the first and the last frame, without the drift of the whole."""
    way = frames[-1].positions - frames[0].positions
    return float(np.sqrt(((way - way.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _melts(
    asked: dict[str, Surface], crystal: Atoms, options: LiquidOptions, store: Store, title: str
) -> Iterator[tuple[str, list[Atoms], Failure | None]]:
    """Counted frames of model and reference; none where the run failed before them."""
    cell, schedule, counted = melt_of(crystal, options)
    for role, surface in asked.items():
        path = store.place(surface, f"{title}-{role}.traj", cell, schedule)
        frames, failure = heated(cell, surface.calculator(), schedule, path, label=f"melt: {title}, {surface.name}")
        yield role, frames[len(schedule.temperatures) - counted :], failure


def _sound(
    melt: str, frames: list[Atoms], failure: Failure | None, options: LiquidOptions
) -> tuple[dict[str, Number], list[str]]:
    """Whether a run came to its end and is a liquid."""
    if failure is not None:
        wrong = f"{melt} fails after {failure.time:.3g} ps: {failure.reason}"
        return {"failure_time": failure.number}, [wrong]
    found = {"order": order(frames), "valley": valley(frames, edges_of(frames[0], options))}
    wrong = no_liquid(**found)
    numbers = {"failure_time": Number(None, "ps"), "moved": Number(moved(frames), "Å")}
    return numbers | {name: Number(value, "") for name, value in found.items()}, [f"{melt} is {wrong}"] if wrong else []


def edges_of(atoms: Atoms, options: LiquidOptions) -> Array:
    """Of the bins of g(r), in Å; no further than half the height of the cell."""
    height = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1).max()
    return np.linspace(0, min(options.furthest, height / 2), options.bins + 1)


def judge(
    title: str, melts: dict[str, list[Atoms]], system: System, options: LiquidOptions
) -> tuple[dict[str, Number], dict[str, Array], list[str]]:
    """Numbers, arrays and faults of one melt."""
    edges = edges_of(melts["model"][0], options)
    numbers, arrays, faults = {}, {}, []
    for pair in system.pairs:
        name = f"{title}.{symbols(pair)}"
        found = {role: curve(frames, pair, edges) for role, frames in melts.items()}
        values, wrong = compare(name, found["model"], found.get("reference"))
        numbers |= values
        faults += wrong
        arrays[f"{name}.r"] = 0.5 * (edges[1:] + edges[:-1])
        arrays |= {f"{name}.{role}": of.g for role, of in found.items()}
    return numbers, arrays, faults


def draw(outcome: Outcome, figure: Figure) -> None:
    """One panel a pair: g(r), the reference dashed."""
    names = outcome.drawn("r")
    panels = grid(figure, len(names), width=4.2, height=3.4)
    for axes, name in zip(panels, names, strict=False):
        r = outcome.arrays[f"{name}.r"]
        axes.plot(r, outcome.arrays[f"{name}.model"], label=outcome.model)
        if f"{name}.reference" in outcome.arrays:
            axes.plot(r, outcome.arrays[f"{name}.reference"], "k--", label=outcome.reference)
        axes.axhline(1, color="0.8", zorder=0)
        axes.set(title=name, xlabel="r (Å)", ylabel="g(r)")
    if names:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


@diagnostic("rdf", LiquidOptions, draw, needs=("crystal",), resumes=True)
def measure(
    model: Surface, reference: Surface | None, system: System, options: LiquidOptions, work: Path | None = None
) -> Outcome:
    """Melt every crystal with model and reference and compare their g(r)."""
    asked = {"model": model} | ({} if reference is None else {"reference": reference})
    numbers, arrays, faults = {}, {}, []
    for title, crystal in system.crystals.items():
        melts, unsound = {}, []
        for role, frames, failure in _melts(asked, crystal, options, Store(system, work), title):
            values, wrong = _sound(f"{title}: the melt of {asked[role].name}", frames, failure, options)
            numbers |= {f"{title}.{role}.{of}": number for of, number in values.items()}
            unsound += wrong
            melts |= {} if failure else {role: frames}
        faults += unsound
        if "model" in melts:
            values, curves, wrong = judge(title, melts, system, options)
            if unsound or (reference is not None and not same_level(reference, system)):  # described, not judged
                values, wrong = {name: replace(number, better=None) for name, number in values.items()}, []
            numbers, arrays, faults = numbers | values, arrays | curves, faults + wrong
    melts = {title: _stated(crystal, options) for title, crystal in system.crystals.items()}
    settings = resolved(options, melts, "temperature", "density") | LANGEVIN
    settings |= {"blocks": BLOCKS, "onset_at_g": ONSET, "order_below": BRAGG, "valley_above": GLASS}
    settings["reference_level"] = level_of(reference, system)
    return Outcome("rdf", model.name, reference and reference.name, settings, numbers, arrays, faults)
