"""What is wrong with a curve E(r), F(r) of two things pulled apart: jumps, flips, extra minima, a soft wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import binary_dilation, median_filter

Array = NDArray[np.float64]
STRONG = 1.0
"""eV/Å; from this force on two atoms count as pushed apart."""


@dataclass(frozen=True)
class Curve:
    """A scan in order of growing distance.

    Attributes:
        r: [K] distances in Å.
        energy: [K] in eV.
        force: [K] in eV/Å, −dE/dr for a conservative surface: positive pushes apart.
    """

    r: Array
    energy: Array
    force: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        """Points [K] at which the surface has an answer."""
        return np.isfinite(self.energy)

    def kept(self, rows: NDArray[np.bool_]) -> Curve:
        """Without the points that are false in ``rows`` [K]."""
        return Curve(self.r[rows], self.energy[rows], self.force[rows])


def arena(curve: Curve) -> dict[str, tuple[float, str]]:
    """The diatomic metrics of mlip-arena (its homonuclear-diatomics analysis), with their units.

    The curve runs inwards, energies are zero at the far end, steps below 1 meV and forces below 10 meV/Å count as zero.
    ``tortuosity`` is Σ|ΔE| over the variation of a curve with one minimum (1 for such a curve); ``energy_jump`` sums
    |ΔE| on both sides of every change of the sign of ΔE but is free of them for a monotonic curve; ``force_flips``
    counts changes of the force's sign (1 for a bond); ``conservation_deviation`` is mean |F + dE/dr|.
    """
    r, energy, force = (values[::-1] for values in (curve.r, curve.energy - curve.energy[-1], curve.force))
    steps = np.diff(energy)
    lowest = energy.min()
    span = abs(energy[0] - lowest) + (energy[-1] - lowest)
    clear = steps[np.abs(steps) >= 1e-3]
    flips = np.diff(np.sign(clear)) != 0
    signs = np.sign(force[np.abs(force) >= 1e-2])
    return {
        "tortuosity": (float(np.abs(steps).sum() / span) if span else float("nan"), ""),
        "energy_jump": (float(np.abs(clear[:-1][flips]).sum() + np.abs(clear[1:][flips]).sum()), "eV"),
        "energy_flips": (int(flips.sum()), ""),
        "force_flips": (int((np.diff(signs) != 0).sum()), ""),
        "conservation_deviation": (float(np.abs(force + np.gradient(energy, r)).mean()), "eV/Å"),
    }


def unexplained(curve: Curve, limit: float) -> tuple[float, float, float]:
    """What |ΔE + ∫F dr| has in one place, a jump of the energy, and what it has all along, which is no derivative.

    What is below a hundredth of |ΔE| of an interval, as on a steep wall, counts as zero.

    Returns:
        The largest jump in eV, its place in Å, and the largest sum in eV over a stretch, without jumps above ``limit``.
    """
    work = unexplained_work(curve.r, curve.energy, curve.force)
    work[np.abs(work) < 0.01 * np.abs(np.diff(curve.energy))] = 0.0
    steps = peaks(work)
    place = int(steps.argmax())
    beside = np.where(binary_dilation(steps > limit, iterations=3), 0.0, work)
    return float(steps[place]), float(curve.r[place : place + 2].mean()), spread(beside)


def spread(steps: Array) -> float:
    """Largest difference between any two points of the sum of steps [K], its start included."""
    return float(np.ptp(np.concatenate([[0.0], np.cumsum(steps)])))


def softening(curve: Curve) -> float | None:
    """Distance in Å at which the wall first gives way: coming inwards, F > 1 eV/Å stops growing. None if it never does.

    Points are compared from the outermost of the innermost stretch that pushes apart.
    """
    weak = np.flatnonzero(curve.force < STRONG)
    end = int(weak[0]) if weak.size else len(curve.r)
    if end == 0:  # attractive at the closest distance: the wall gave way further out, if there was one
        strong = np.flatnonzero(curve.force >= STRONG)
        return float(curve.r[strong[-1]]) if strong.size else None
    falls = np.flatnonzero(np.diff(curve.force[:end]) > 0)
    return float(curve.r[falls[-1] + 1]) if falls.size else None


def minima(curve: Curve, depth: float = 1e-3) -> list[float]:
    """Distances in Å of local minima of E at least ``depth`` eV below the lower of the maxima beside them.

    The outer end counts as a maximum of its own height, the inner end as a wall: a curve that falls inwards to its
    first point has its minimum there.
    """
    energy, found = curve.energy, []
    for k in range(len(energy)):
        left, right = energy[:k], energy[k + 1 :]
        if (k and energy[k - 1] <= energy[k]) or (right.size and right[0] < energy[k]):
            continue
        inner = _climb(left[::-1], energy[k]) if k else np.inf
        outer = _climb(right, energy[k])
        if min(inner, outer) - energy[k] >= depth:
            found.append(float(curve.r[k]))
    return found


def _climb(values: Array, start: float) -> float:
    """Highest value before the sequence falls below ``start``."""
    below = np.flatnonzero(values < start)
    reach = values[: below[0]] if below.size else values
    return float(reach.max()) if reach.size else start


def unmatched(places: Sequence[float], expected: Sequence[float], near: float) -> list[float]:
    """Those of ``places`` that are left when each one expected has taken the closest, at most ``near`` away."""
    left = list(places)
    pairs = sorted((abs(a - b), a, b) for a in places for b in expected)
    taken: set[float] = set()
    for distance, place, partner in pairs:
        if distance <= near and place in left and partner not in taken:
            left.remove(place)
            taken.add(partner)
    return left


def wall_error(curve: Curve, reference: Curve) -> tuple[float, float] | None:
    """Mean and mean absolute relative error of the force where the reference pushes apart with more than 1 eV/Å.

    A negative mean is a softened wall. None where the reference has no wall.
    """
    wall = reference.force > STRONG
    if not wall.any():
        return None
    error = curve.force[wall] / reference.force[wall] - 1
    return float(error.mean()), float(np.abs(error).mean())


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
    """Steps [K−1] between neighbouring rows of values [K,…] on an even grid that the steps beside them do not announce.

    |Δ_k − ½(Δ_{k−1} + Δ_{k+1})| with Δ_k = y_{k+1} − y_k: a third difference, which a smooth curve keeps small and a
    jump D makes D. What is below a twentieth of the mean step beside it counts as zero, and so do both ends.
    """
    rows = values.reshape(len(values), -1)
    return np.pad(_unannounced(rows[1:] - rows[:-1], 1), 1)


def kinks(x: Array, values: Array) -> Array:
    """Jumps of the slope dy/dx in every interval [K−1] of values [K,…] on an even grid x [K].

    The same of Δ_k = s_{k+1} − s_{k−1}, s the slopes of the intervals on both sides, beside Δ_{k−2} and Δ_{k+2}: a jump
    D of the slope makes D wherever in the interval it lies. Three intervals at both ends count as zero.
    """
    slopes = np.diff(values.reshape(len(values), -1), axis=0) / np.diff(x)[:, None]
    return np.pad(_unannounced(slopes[2:] - slopes[:-2], 2), 3)


def _unannounced(steps: Array, apart: int) -> Array:
    """Norm of each step less the mean of those ``apart`` before and after it, zero below a twentieth of that mean."""
    expected = (steps[: -2 * apart] + steps[2 * apart :]) / 2
    excess = np.linalg.norm(steps[apart:-apart] - expected, axis=1)
    excess[excess < 0.05 * np.linalg.norm(expected, axis=1)] = 0.0
    return excess
