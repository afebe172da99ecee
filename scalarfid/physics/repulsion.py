"""Short-range repulsion: whether there is a wall, whether it gives way, and how far it is from the reference's.

Dimers of every pair of elements from 0.5 of the sum of covalent radii to the cutoff, and crystals compressed evenly to
0.7 of the nearest-neighbour distance. On dimers the force along the bond is judged, on crystals the pressure
P = −tr σ/3 in GPa, which takes the force's place there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from ase.units import GPa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalarfid.physics.curves import STRONG, Curve, arena, minima, softening, unexplained_step, wall_error
from scalarfid.physics.outcome import Number, Outcome, grid
from scalarfid.physics.registry import diagnostic
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System, symbols

JUMP = 0.02
"""eV; a larger step of the energy that the forces do not explain is a fault."""


@dataclass
class RepulsionOptions:
    """Options of the scans.

    Attributes:
        nearest: shortest distance of dimers, in sums of covalent radii.
        furthest: largest distance in Å; null for the model's cutoff.
        points: of a scan.
        compression: smallest ratio to the equilibrium nearest-neighbour distance of crystals.
    """

    nearest: float = 0.5
    furthest: float | None = None
    points: int = 200
    compression: float = 0.7


def dimer_scan(surface: Surface, pair: tuple[int, int], r: NDArray[np.float64]) -> Curve:
    """E and F along the bond of two atoms alone, in one call."""
    answers = surface([Atoms(numbers=pair, positions=[[0, 0, 0], [x, 0, 0]]) for x in r])
    return Curve(r, answers.energy, np.array([forces[1, 0] for forces in answers.forces]))


def crystal_scan(surface: Surface, crystal: Atoms, ratios: NDArray[np.float64]) -> tuple[Curve, NDArray[np.float64]]:
    """E per atom and −dE/dr per atom against the nearest-neighbour distance r, and the pressure in GPa [K]."""
    frames = []
    for ratio in ratios:
        frames.append(crystal.copy())
        frames[-1].set_cell(crystal.cell * ratio, scale_atoms=True)
    answers = surface(frames, stress=True)
    volume = np.array([atoms.get_volume() for atoms in frames])
    pressure = -np.trace(answers.stress, axis1=1, axis2=2) / 3
    r = nearest_neighbour(crystal) * ratios
    force = 3 * volume * pressure / r / len(crystal)  # −dE/dr = P dV/dr, V ∝ r³
    return Curve(r, answers.energy / len(crystal), force), pressure / GPa


def nearest_neighbour(crystal: Atoms) -> float:
    """Shortest distance between atoms of a crystal, its images included, in Å."""
    return float(neighbor_list("d", crystal, 2.0 * (crystal.get_volume() / len(crystal)) ** (1 / 3)).min())


def _scans(surface: Surface, system: System, options: RepulsionOptions, far: float) -> Iterator[tuple[str, Curve]]:
    for pair in system.pairs:
        d = covalent_radii[pair[0]] + covalent_radii[pair[1]]
        yield symbols(pair), dimer_scan(surface, pair, np.linspace(options.nearest * d, far, options.points))
    ratios = np.linspace(options.compression, 1.1, options.points // 4)
    for name, crystal in system.crystals.items():
        yield name, crystal_scan(surface, crystal, ratios)[0]


def judge(name: str, curve: Curve, reference: Curve | None, *, dimer: bool) -> tuple[dict[str, Number], list[str]]:
    """Numbers and faults of one scan."""
    found = {key: Number(value, unit) for key, (value, unit) in arena(curve).items()} if dimer else {}
    jump, place = unexplained_step(curve)
    soft, dips = softening(curve), minima(curve)
    found |= {"largest_step": Number(jump, "eV"), "softens_at": Number(soft, "Å"), "minima": Number(len(dips), "")}
    faults = [f"{name}: the energy jumps by {1e3 * jump:.3g} meV at {place:.2f} Å"] if jump > JUMP else []
    expected = [] if reference is None else minima(reference)
    found["soft_range"] = _soft_range(curve)
    found["spurious_minima"] = Number(max(0, len(dips) - max(1, len(expected))), "")
    if reference is not None:
        found["reference_soft_range"] = _soft_range(reference)
    if soft is not None and (reference is None or softening(reference) is None):
        faults.append(f"{name}: the repulsion gives way below {soft:.2f} Å")
    if len(dips) > max(1, len(expected)):
        faults.append(f"{name}: {len(dips)} minima, at {', '.join(f'{x:.2f}' for x in dips)} Å")
    errors = None if reference is None else wall_error(curve, reference)
    if errors is not None:
        found["wall_force_error"] = Number(100 * errors[0], "%")
        found["wall_force_absolute_error"] = Number(100 * errors[1], "%")
    return {f"{name}.{key}": number for key, number in found.items()}, faults


def _soft_range(curve: Curve) -> Number:
    """How much of a scan lies within the place where the wall gives way; zero where it does not."""
    place = softening(curve)
    return Number(0.0 if place is None else place - float(curve.r[0]), "Å")


def summary(numbers: dict[str, Number]) -> dict[str, Number]:
    """Headlines: means over scans of the soft range and of the error of the repulsive force, and all extra minima."""
    soft, truth, error, extra = (
        [number.value for name, number in numbers.items() if name.endswith(f".{key}")]
        for key in ("soft_range", "reference_soft_range", "wall_force_absolute_error", "spurious_minima")
    )
    beside = Number(float(np.mean(truth)), "Å") if truth else None
    found = {
        "mean.soft_range": Number(float(np.mean(soft)), "Å").headline("reference" if truth else "less", beside),
        "total.spurious_minima": Number(sum(extra), "").headline("less"),
    }
    if error:
        found["mean.wall_force_absolute_error"] = Number(float(np.mean(error)), "%").headline("less")
    return found


def draw(outcome: Outcome, figure: Figure) -> None:
    """One panel a scan: force against distance, the reference dashed."""
    names = outcome.drawn("r")
    panels = grid(figure, len(names), width=3.6, height=3.0)
    for axes, name in zip(panels, names, strict=False):
        r = outcome.arrays[f"{name}.r"]
        axes.plot(r, outcome.arrays[f"{name}.force"], label=outcome.model)
        if f"{name}.reference_force" in outcome.arrays:
            axes.plot(r, outcome.arrays[f"{name}.reference_force"], "k--", label=outcome.reference)
        axes.axhline(0, color="0.8", zorder=0)
        axes.set_yscale("symlog", linthresh=STRONG)
        axes.set(title=name, xlabel="r (Å)", ylabel="−dE/dr (eV/Å)")
    panels[0].legend()


@diagnostic("repulsion", RepulsionOptions, draw)
def measure(model: Surface, reference: Surface | None, system: System, options: RepulsionOptions) -> Outcome:
    """Scan model and reference and judge the model."""
    far = options.furthest or model.cutoff or 6.0
    truths = {} if reference is None else dict(_scans(reference, system, options, far))
    numbers, arrays, faults = {}, {}, []
    for name, curve in _scans(model, system, options, far):
        truth = truths.get(name)
        found, wrong = judge(name, curve, truth, dimer=name not in system.crystals)
        numbers |= found
        faults += wrong
        arrays |= {f"{name}.r": curve.r, f"{name}.energy": curve.energy, f"{name}.force": curve.force}
        if truth is not None:
            arrays |= {f"{name}.reference_energy": truth.energy, f"{name}.reference_force": truth.force}
    settings = asdict(options) | {"furthest": far, "wall_from_eV_per_A": STRONG, "jump_from_eV": JUMP}
    numbers |= summary(numbers)
    return Outcome("repulsion", model.name, reference and reference.name, settings, numbers, arrays, faults)
