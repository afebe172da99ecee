"""What is rough along a bond scan and needs no reference: jumps of E, F and dF/dα, and work that E does not show.

A scan of 100 frames cannot tell a jump from a steep wall, so what is above a limit is looked at again in smaller steps,
three times eight: what is steep becomes smooth, a jump keeps its size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import binary_dilation, label, median_filter

from scalarfid.physics.bonds import Scan, Track, ask, crossings
from scalarfid.physics.surface import Surface

Array = NDArray[np.float64]
ENERGY_JUMP, FORCE_JUMP, WORK = 0.001, 0.1, 0.005
"""eV, eV/Å and eV; larger jumps of E and F, and a larger |ΔE + ∫F·dx| beside the jumps, are faults.

GFN2-xTB must have none: over the 31 published scans of mol31 it has at most 0.01 meV, 0.006 eV/Å and 0.9 meV (100
points). Smooth potentials must have none: eleven MACE cells trained on rMD17 ethanol, ill-trained ones among them, show
up to 112 meV, 60 eV/Å and 164 meV in these steps, on walls that they extrapolate, and nothing above the limits in the
smallest. What is broken must be found: a step of 2 meV at the cutoff is, and the jumps of the snapshot's PGS-edge.
"""
FINER, LEVELS = 8, 3
"""Steps are so many times smaller at each level, where there is something to look at; steps of 0.02 Å end at 5e-5 Å."""
AROUND = 3
"""Intervals on both sides that are looked at with one that is above a limit."""


@dataclass(frozen=True)
class Jump:
    """Its size, and the ends of its interval in Å."""

    size: float
    low: float
    high: float


@dataclass(frozen=True)
class Roughness:
    """What needs no reference, along one scan.

    Attributes:
        energy: largest step of E that the forces do not explain, in eV.
        force: largest jump of F over all atoms, in eV/Å.
        slope: largest jump of dF/dα, in eV/Å².
        work: largest |ΔE + ∫F·dx| between any two frames, in eV.
        rest: the same without the stretches where E or F seem to jump.
    """

    energy: Jump
    force: Jump
    slope: Jump
    work: float
    rest: float


def roughness(scan: Scan, track: Track) -> Roughness:
    """Jumps and unexplained work of a scan, in the steps that it has."""
    work = unexplained_work(scan.alpha, track.energy, track.pull(scan))
    steps = np.diff(scan.alpha)[:, None, None]
    return Roughness(
        energy=_largest(scan, peaks(work)),
        force=_largest(scan, jumps(track.forces)),
        slope=_largest(scan, np.append(jumps(np.diff(track.forces, axis=0) / steps), 0.0)),
        work=_range(work),
        rest=_range(np.where(suspicious(scan, track), 0.0, work)),
    )


def looked_at(surface: Surface, scan: Scan, track: Track) -> Roughness:
    """Roughness of a scan with the jumps that remain in smaller steps; what is below a limit there has size 0.

    Jumps of dF/dα are those in the steps of the scan: an upper bound, and no fault.
    """
    found = roughness(scan, track)
    if found.work > WORK:
        fine = scan.finer(FINER)
        closer = roughness(fine, ask(surface, [fine])[0])
        found = replace(found, work=closer.work, rest=closer.rest)
    energy, force = remaining(surface, scan, track)
    return replace(found, energy=_if_above(energy, ENERGY_JUMP), force=_if_above(force, FORCE_JUMP))


def remaining(surface: Surface, scan: Scan, track: Track) -> tuple[Jump, Jump]:
    """Largest jumps of E and F in the smallest steps, around all intervals that were above a limit at every level."""
    pieces = [(scan, track)]
    for _ in range(LEVELS):
        closer = [part for piece in pieces for part in suspects(*piece)]
        if not closer:
            break
        pieces = list(zip(closer, ask(surface, closer), strict=True))
    found = [roughness(*piece) for piece in pieces]
    return max((r.energy for r in found), key=_size), max((r.force for r in found), key=_size)


def suspicious(scan: Scan, track: Track) -> NDArray[np.bool_]:
    """[K−1] which intervals are above a limit, or near one that is."""
    above = peaks(unexplained_work(scan.alpha, track.energy, track.pull(scan))) > ENERGY_JUMP
    return binary_dilation(above | (jumps(track.forces) > FORCE_JUMP), iterations=AROUND)


def suspects(scan: Scan, track: Track) -> list[Scan]:
    """Stretches of a scan around the intervals that are above a limit, in smaller steps."""
    stretches, count = label(suspicious(scan, track))
    found = []
    for k in range(1, count + 1):
        inside = np.flatnonzero(stretches == k)
        low, high = scan.alpha[inside[0]], scan.alpha[inside[-1] + 1]
        found.append(scan.at(np.linspace(low, high, FINER * len(inside) + 1)))
    return found


def _if_above(jump: Jump, limit: float) -> Jump:
    return jump if jump.size > limit else replace(jump, size=0.0)


def _size(jump: Jump) -> float:
    return jump.size


def _largest(scan: Scan, sizes: Array) -> Jump:
    place = int(sizes.argmax())
    return Jump(float(sizes[place]), float(scan.alpha[place]), float(scan.alpha[place + 1]))


def _range(steps: Array) -> float:
    """Largest difference between any two points of the sum of steps, its start included."""
    return float(np.ptp(np.concatenate([[0.0], np.cumsum(steps)])))


def faults_of(scan: Scan, found: Roughness, expected: Roughness | None, cutoff: float | None) -> list[str]:
    """Sentences about what is wrong; a fault is at least twice what the reference has."""

    def at(jump: Jump) -> str:
        where, step = f"at {(jump.low + jump.high) / 2:.2f} Å", jump.high - jump.low
        ends = scan.at(np.array([jump.low - step, jump.high + step]))
        near = 0 if cutoff is None else int(crossings(ends, cutoff).sum())
        return f"{where}, where {near} pair{'s cross' if near > 1 else ' crosses'} the cutoff" if near else where

    def wrong(value: float, limit: float, known: float | None) -> bool:
        return value > max(limit, 2 * (known or 0.0))

    faults = []
    if wrong(found.energy.size, ENERGY_JUMP, expected and expected.energy.size):
        faults.append(f"the energy jumps by {1e3 * found.energy.size:.3g} meV {at(found.energy)}")
    if wrong(found.force.size, FORCE_JUMP, expected and expected.force.size):
        faults.append(f"the forces jump by {found.force.size:.3g} eV/Å {at(found.force)}")
    if wrong(found.rest, WORK, expected and expected.rest):
        faults.append(f"the forces are no derivative of the energy: ΔE and −∫F·dx differ by {found.rest:.3g} eV")
    return [f"{scan.name}: {fault}" for fault in faults]


def unexplained_work(alpha: Array, energy: Array, pull: Array) -> Array:
    """ΔE + ∫F·dx [K−1] in eV between neighbouring frames: zero where the force is the derivative of the energy.

    F between the frames is a cubic spline's; with 100 frames that leaves errors of 1e-5 to 1e-4 eV on a steep wall.
    """
    return np.diff(energy) + np.diff(CubicSpline(alpha, pull).antiderivative()(alpha))


def peaks(work: Array) -> Array:
    """What each interval of unexplained work [K−1] has above the median of the seven around it: a jump of E.

    A force that is no derivative fills the neighbours too.
    """
    return np.maximum(np.abs(work) - median_filter(np.abs(work), 7, mode="nearest"), 0.0)


def jumps(values: Array) -> Array:
    """Steps [K−1] between neighbouring rows of values [K,…] that the steps beside them do not announce.

    |Δ_k − ½(Δ_{k−1} + Δ_{k+1})| with Δ_k = y_{k+1} − y_k: a third difference, which a smooth curve keeps small and a
    jump D makes D. What is below a twentieth of the mean step beside it counts as zero, and so do both ends.
    """
    steps = np.diff(values.reshape(len(values), -1), axis=0)
    expected = (steps[:-2] + steps[2:]) / 2
    excess = np.linalg.norm(steps[1:-1] - expected, axis=1)
    excess[excess < 0.05 * np.linalg.norm(expected, axis=1)] = 0.0
    return np.pad(excess, 1)
