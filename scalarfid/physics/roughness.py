"""What is rough along a bond scan and needs no reference: jumps of E, F and dF/dα, and work that E does not show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import median_filter

from scalarfid.physics.bonds import Scan, Track, ask, crossings
from scalarfid.physics.surface import Surface

Array = NDArray[np.float64]
ENERGY_JUMP, FORCE_JUMP, WORK = 0.005, 0.3, 0.02
"""eV, eV/Å and eV; larger jumps of E and F, and a larger |ΔE + ∫F·dx| beside the jumps, are faults."""
FINER = 8
"""Steps are so many times smaller where a scan seems faulty: what is steep becomes smooth, what jumps stays."""


@dataclass(frozen=True)
class Roughness:
    """What needs no reference, along one scan.

    Attributes:
        energy: largest step of E that the forces do not explain, in eV, and its interval.
        force: largest jump of F over all atoms, in eV/Å, and its interval.
        slope: largest jump of dF/dα, in eV/Å², and its interval.
        work: largest |ΔE + ∫F·dx| between any two frames, in eV.
        rest: the same without the jumps of E.
    """

    energy: tuple[float, int]
    force: tuple[float, int]
    slope: tuple[float, int]
    work: float
    rest: float


def roughness(scan: Scan, track: Track) -> Roughness:
    """Jumps and unexplained work of a scan.

    A jump of E is what an interval has above the median of the seven around it; a force that is no derivative fills
    its neighbours too.
    """
    work = unexplained_work(scan.alpha, track.energy, track.pull(scan))
    peaks = np.abs(work) - median_filter(np.abs(work), 7, mode="nearest")
    place = int(peaks.argmax())
    steps = np.diff(scan.alpha)[:, None, None]
    return Roughness(
        energy=(max(float(peaks[place]), 0.0), place),
        force=jump(track.forces),
        slope=jump(np.diff(track.forces, axis=0) / steps),
        work=_range(work),
        rest=_range(np.where(peaks > ENERGY_JUMP, 0.0, work)),
    )


def looked_at(surface: Surface, scan: Scan, track: Track) -> tuple[Scan, Roughness]:
    """Roughness of a scan, in finer steps where it is above a limit, and the scan whose intervals it names."""
    found = roughness(scan, track)
    if found.energy[0] <= ENERGY_JUMP and found.force[0] <= FORCE_JUMP and found.rest <= WORK:
        return scan, found
    fine = scan.finer(FINER)
    return fine, replace(roughness(fine, ask(surface, [fine])[0]), slope=found.slope)


def _range(steps: Array) -> float:
    """Largest difference between any two points of the sum of steps, its start included."""
    return float(np.ptp(np.concatenate([[0.0], np.cumsum(steps)])))


def faults_of(scan: Scan, found: Roughness, expected: Roughness | None, cutoff: float | None) -> list[str]:
    """Sentences about what is wrong; a fault is at least twice what the reference has."""

    def at(place: int) -> str:
        near = 0 if cutoff is None else int(crossings(scan, cutoff)[max(place - 1, 0) : place + 2].sum())
        where = f"at {scan.alpha[place : place + 2].mean():.2f} Å"
        return f"{where}, where {near} pair{'s cross' if near > 1 else ' crosses'} the cutoff" if near else where

    def wrong(value: float, limit: float, known: float | None) -> bool:
        return value > max(limit, 2 * (known or 0.0))

    faults = []
    if wrong(found.energy[0], ENERGY_JUMP, expected and expected.energy[0]):
        faults.append(f"the energy jumps by {1e3 * found.energy[0]:.3g} meV {at(found.energy[1])}")
    if wrong(found.force[0], FORCE_JUMP, expected and expected.force[0]):
        faults.append(f"the forces jump by {found.force[0]:.3g} eV/Å {at(found.force[1])}")
    if wrong(found.rest, WORK, expected and expected.rest):
        faults.append(f"the forces are no derivative of the energy: ΔE and −∫F·dx differ by {found.rest:.3g} eV")
    return [f"{scan.name}: {fault}" for fault in faults]


def unexplained_work(alpha: Array, energy: Array, pull: Array) -> Array:
    """ΔE + ∫F·dx [K−1] in eV between neighbouring frames: zero where the force is the derivative of the energy.

    F between the frames is a cubic spline's; with 100 frames that leaves errors of 1e-5 to 1e-4 eV on a steep wall.
    """
    return np.diff(energy) + np.diff(CubicSpline(alpha, pull).antiderivative()(alpha))


def jump(values: Array) -> tuple[float, int]:
    """Largest step between neighbouring rows that the steps beside it do not announce, and the row before it.

    |Δ_k − ½(Δ_{k−1} + Δ_{k+1})| with Δ_k = y_{k+1} − y_k over rows y [K,…]: a third difference, which a smooth curve
    keeps small and a jump D makes D. What is below a twentieth of the mean step beside it counts as zero.
    """
    steps = np.diff(values.reshape(len(values), -1), axis=0)
    expected = (steps[:-2] + steps[2:]) / 2
    excess = np.linalg.norm(steps[1:-1] - expected, axis=1)
    excess[excess < 0.05 * np.linalg.norm(expected, axis=1)] = 0.0
    place = int(excess.argmax())
    return float(excess[place]), place + 1
