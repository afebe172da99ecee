"""Short-range repulsion: whether there is a wall, whether it gives way, and how far it is from the reference's.

Dimers of every pair of elements from 0.5 of the sum of covalent radii to the cutoff, and crystals compressed evenly to
0.7 of the nearest-neighbour distance r. On dimers the force along the bond is judged, on crystals −dE/dr per atom in
eV/Å, which the pressure P = −tr σ/3 gives: P dV/dr. A reference of another level of theory than the labels is
drawn, and the model judged as without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.errors import ScalarFidError
from scalarfid.physics.crystals import level_of, same_level
from scalarfid.physics.curves import STRONG, Curve, arena, minima, softening, unexplained, unmatched, wall_error
from scalarfid.physics.options import Options, limited
from scalarfid.physics.outcome import Number, Outcome, grid, mean, over_scans
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import LEAST, Answers, Surface, answers_or_nan
from scalarfid.physics.systems import System, symbols

JUMP = 0.02
"""eV; a larger |ΔE + ∫F dr|, in one place or all along, is a fault."""
NEAR = 0.3
"""Å; a minimum this close to the reference's is the same."""


FINER, LEVELS = 4, 2
"""Steps are so many times smaller at each level, where there is something to look at."""
Scan = Callable[[NDArray[np.float64]], Curve]
"""From distances [K] in Å to what a surface says there."""
Found = tuple[dict[str, Number], list[str]]
"""Numbers by name and faults."""
Ask = Callable[..., Answers]
"""A surface, or what asks one."""


@dataclass
class RepulsionOptions(Options):
    """Options of the scans.

    Attributes:
        nearest: shortest distance of dimers, in sums of covalent radii.
        furthest: largest distance in Å; null for the model's cutoff.
        points: of a scan of dimers; crystals have a quarter.
        compression: smallest ratio to the equilibrium nearest-neighbour distance of crystals.
        wall_error: %; a repulsive force that is wrong by this much, in the mean, is a fault.
    """

    nearest: float = 0.5
    furthest: float | None = None
    points: int = limited(200, least=8)
    compression: float = limited(0.7, below=1)
    wall_error: float = 10.0

    def check_for(self, model: Surface, system: System) -> None:
        """Refuse scans of dimers that do not begin before they end."""
        far = self.furthest or model.cutoff or 6.0
        for pair in system.pairs:
            near = self.nearest * float(covalent_radii[list(pair)].sum())
            if near >= far:
                raise ScalarFidError(
                    f"repulsion.nearest={self.nearest:g} is {near:.2f} Å for {symbols(pair)}, and the scan ends at "
                    f"{far:g} Å; give a smaller one, or a larger repulsion.furthest."
                )


def dimer_scan(surface: Ask, pair: tuple[int, int], r: NDArray[np.float64]) -> Curve:
    """E and F along the bond of two atoms alone, in one call."""
    answers = surface([Atoms(numbers=pair, positions=[[0, 0, 0], [x, 0, 0]]) for x in r])
    return Curve(r, answers.energy, np.array([forces[1, 0] for forces in answers.forces]))


def crystal_scan(surface: Ask, crystal: Atoms, r: NDArray[np.float64]) -> Curve:
    """E per atom and −dE/dr per atom against the nearest-neighbour distance r, in one call."""
    frames = []
    for ratio in r / nearest_neighbour(crystal):
        frames.append(crystal.copy())
        frames[-1].set_cell(crystal.cell * ratio, scale_atoms=True)
    answers = surface(frames, stress=True)
    volume = np.array([atoms.get_volume() for atoms in frames])
    pressure = -np.trace(answers.stress, axis1=1, axis2=2) / 3
    force = 3 * volume * pressure / r / len(crystal)  # −dE/dr = P dV/dr, V ∝ r³
    return Curve(r, answers.energy / len(crystal), force)


def nearest_neighbour(crystal: Atoms) -> float:
    """Shortest distance between atoms of a crystal, its images included, in Å."""
    return float(neighbor_list("d", crystal, 2.0 * (crystal.get_volume() / len(crystal)) ** (1 / 3)).min())


def _scans(surface: Ask, system: System, options: RepulsionOptions, far: float) -> Iterator[tuple[str, Scan, Curve]]:
    for pair in system.pairs:
        d = covalent_radii[pair[0]] + covalent_radii[pair[1]]
        scan = partial(dimer_scan, surface, pair)
        yield symbols(pair), scan, scan(np.linspace(options.nearest * d, far, options.points))
    ratios = np.linspace(options.compression, 1.1, options.points // 4)
    for name, crystal in system.crystals.items():
        scan = partial(crystal_scan, surface, crystal)
        yield name, scan, scan(nearest_neighbour(crystal) * ratios)


def judge(
    name: str, scan: Scan, curve: Curve, reference: Curve | None, *, dimer: bool, wall: float
) -> tuple[dict[str, Number], list[str]]:
    """Numbers and faults of one scan; a mean error of the repulsive force of ``wall`` % is a fault.

    With the reference is compared what it answers, at ``LEAST`` points or more. A curve that is not finite everywhere
    has that fault alone, and no value of what counts in a headline.
    """
    if reference is not None and reference.known.sum() < LEAST:
        reference = None
    lost = ~(np.isfinite(curve.energy) & np.isfinite(curve.force))
    if lost.any():
        where = f"at {lost.sum()} of {len(lost)} distances, up to {curve.r[lost][-1]:.2f} Å"
        reason = f"the model's energy or force is not finite {where}"
        numbers = unanswered(reference and reference.kept(reference.known), reason)
        return {f"{name}.{key}": number for key, number in numbers.items()}, [f"{name}: {reason}"]
    found = {key: Number(value, unit) for key, (value, unit) in arena(curve).items()} if dimer else {}
    values, faults = conservation(scan, curve)
    found |= values
    if reference is not None:
        curve, reference = curve.kept(reference.known), reference.kept(reference.known)
    for values, wrong in (softness(curve, reference), dips(curve, reference)):
        found |= values
        faults += wrong
    if reference is not None:
        found["energy_mae"] = Number(energy_mae(curve, reference), "eV" if dimer else "eV/atom")
        values, wrong = wall_faults(curve, reference, wall)
        found |= values
        faults += wrong
    return {f"{name}.{key}": number for key, number in found.items()}, [f"{name}: {fault}" for fault in faults]


def unanswered(reference: Curve | None, reason: str) -> dict[str, Number]:
    """What the headlines are made of, without the model's values and with the reason as note."""
    units = {"soft_range": "Å", "spurious_minima": ""}
    if reference is not None and wall_error(reference, reference) is not None:
        units["wall_force_absolute_error"] = "%"
    found = {key: Number(None, unit, note=reason) for key, unit in units.items()}
    return found if reference is None else found | {"reference_soft_range": _soft_range(reference)}


def conservation(scan: Scan, curve: Curve) -> Found:
    """Whether the energy jumps, and whether the force is its derivative elsewhere.

    What is above the limit is looked at again in steps four times smaller, twice: on a wall that is only steep it
    shrinks, and is no fault if the last step more than halves it.
    """
    jump, place, rest = unexplained(curve, JUMP)
    before = (np.inf, np.inf)
    for _ in range(LEVELS):
        if max(jump, rest) <= JUMP:
            break
        before = (jump, rest)
        curve = scan(np.linspace(curve.r[0], curve.r[-1], FINER * (len(curve.r) - 1) + 1))
        jump, place, rest = unexplained(curve, JUMP)
    faults = []
    if jump > JUMP and jump >= before[0] / 2:
        faults.append(f"the energy jumps by {1e3 * jump:.3g} meV at {place:.2f} Å")
    if rest > JUMP and rest >= before[1] / 2:
        faults.append(f"the forces are no derivative of the energy: ΔE and −∫F dr differ by {rest:.3g} eV")
    return {"largest_step": Number(jump, "eV"), "work_error": Number(rest, "eV")}, faults


def softness(curve: Curve, reference: Curve | None) -> Found:
    """Where the wall gives way, and whether the reference's does not."""
    soft = softening(curve)
    found = {"softens_at": Number(soft, "Å"), "soft_range": _soft_range(curve)}
    if reference is not None:
        found["reference_soft_range"] = _soft_range(reference)
    wrong = soft is not None and (reference is None or softening(reference) is None)
    return found, [f"the repulsion gives way below {soft:.2f} Å"] if wrong else []


def dips(curve: Curve, reference: Curve | None) -> Found:
    """Minima that the reference has not at their place, or without one all but the first, and those it alone has."""
    places = minima(curve)
    found = {"minima": Number(len(places), "")}
    if reference is None:
        found["spurious_minima"] = Number(max(0, len(places) - 1), "")
        return found, [f"{len(places)} minima, at {_places(places)} Å"] if len(places) > 1 else []
    expected = minima(reference)
    extra = unmatched(places, expected, NEAR)
    found["spurious_minima"] = Number(len(extra), "")
    found["missing_minima"] = Number(len(unmatched(expected, places, NEAR)), "")
    count = "a minimum" if len(extra) == 1 else f"{len(extra)} minima"
    return found, [f"{count}, at {_places(extra)} Å, where the reference has none"] if extra else []


def energy_mae(curve: Curve, reference: Curve) -> float:
    """Mean absolute error of the energy, counted from the far end in both scans."""
    return float(np.abs(curve.energy - curve.energy[-1] - reference.energy + reference.energy[-1]).mean())


def wall_faults(curve: Curve, reference: Curve, wall: float) -> Found:
    """Errors of the repulsive force in % of the reference's, a fault from ``wall`` on."""
    errors = wall_error(curve, reference)
    if errors is None:
        return {}, []
    mean, absolute = (100 * error for error in errors)
    found = {"wall_force_error": Number(mean, "%"), "wall_force_absolute_error": Number(absolute, "%")}
    if round(abs(mean), 6) >= wall:
        return found, [f"the repulsive force is {abs(mean):.3g} % too {'weak' if mean < 0 else 'strong'}"]
    if round(absolute, 6) >= wall:
        return found, [f"the repulsive force is wrong by {absolute:.3g} % in the mean, here too weak, there too strong"]
    return found, []


def _places(places: list[float]) -> str:
    return ", ".join(f"{x:.2f}" for x in places)


def _soft_range(curve: Curve) -> Number:
    """How much of a scan lies within the place where the wall gives way; zero where it does not."""
    place = softening(curve)
    return Number(0.0 if place is None else place - float(curve.r[0]), "Å")


def summary(numbers: dict[str, Number]) -> dict[str, Number]:
    """Headlines: means over scans of the soft range and of the error of the repulsive force, and all extra minima.

    Where any scan is compared with the reference, those that are not (``LEAST``) count in none of them. Where one that
    counts has no value, neither has the headline.
    """
    scans = [name.removesuffix(".soft_range") for name in numbers if name.endswith(".soft_range")]
    scans = [scan for scan in scans if f"{scan}.reference_soft_range" in numbers] or scans

    def over(key: str, of: Callable[[list[float]], float]) -> Number | None:
        return over_scans({scan: numbers[f"{scan}.{key}"] for scan in scans if f"{scan}.{key}" in numbers}, of)

    truth, error = over("reference_soft_range", mean), over("wall_force_absolute_error", mean)
    found = {
        "mean.soft_range": over("soft_range", mean).headline("reference" if truth else "less", truth),
        "total.spurious_minima": over("spurious_minima", sum).headline("less"),
    }
    return found | ({"mean.wall_force_absolute_error": error.headline("less")} if error else {})


def draw(outcome: Outcome, figure: Figure) -> None:
    """Two panels a scan, energy from the furthest distance that has answers and force; the reference dashed."""
    names = outcome.drawn("r")
    panels = grid(figure, 2 * len(names), width=3.2, height=2.8, columns=4)
    for k, name in enumerate(names):
        r = outcome.arrays[f"{name}.r"]
        energies = [
            outcome.arrays[key] for role in ("", "reference_") if (key := f"{name}.{role}energy") in outcome.arrays
        ]
        zero = max(np.flatnonzero(np.isfinite(energies).all(axis=0)), default=-1)
        for axes, of, label in zip(panels[2 * k :], ("energy", "force"), ("E (eV)", "−dE/dr (eV/Å)"), strict=False):
            for role, style in (("", "-"), ("reference_", "k--")):
                values = outcome.arrays.get(f"{name}.{role}{of}")
                if values is not None:
                    shown = values - values[zero] if of == "energy" else values
                    axes.plot(r, shown, style, label=outcome.reference if role else outcome.model)
            axes.axhline(0, color="0.8", zorder=0)
            axes.set_yscale("symlog", linthresh=STRONG)
            axes.set(title=name, xlabel="r (Å)", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


@diagnostic("repulsion", RepulsionOptions, draw)
def measure(model: Surface, reference: Surface | None, system: System, options: RepulsionOptions) -> Outcome:
    """Scan model and reference and judge the model."""
    far = options.furthest or model.cutoff or 6.0
    truths = {}
    if reference is not None:
        truths = {name: curve for name, _, curve in _scans(partial(answers_or_nan, reference), system, options, far)}
    numbers, arrays, faults, same = {}, {}, [], same_level(reference, system)
    for name, scan, curve in _scans(model, system, options, far):
        truth = truths.get(name)
        beside = truth if same else None
        found, wrong = judge(name, scan, curve, beside, dimer=name not in system.crystals, wall=options.wall_error)
        numbers |= found
        faults += wrong
        arrays |= {f"{name}.r": curve.r, f"{name}.energy": curve.energy, f"{name}.force": curve.force}
        if truth is not None:
            arrays |= {f"{name}.reference_energy": truth.energy, f"{name}.reference_force": truth.force}
    settings = asdict(options) | {
        "furthest": far,
        "wall_from_eV_per_A": STRONG,
        "jump_from_eV": JUMP,
        "same_minimum_A": NEAR,
        "reference_level": level_of(reference, system),
        "reference_without_answer": {
            name: int((~truth.known).sum()) for name, truth in truths.items() if not truth.known.all()
        },
    }
    numbers |= summary(numbers)
    return Outcome("repulsion", model.name, reference and reference.name, settings, numbers, arrays, faults)
