"""What is rough along a bond scan and needs no reference: jumps of E, F and dF/dα, and work that E does not show.

A scan of 100 frames cannot tell a jump from a steep wall, so what is above a limit is looked at again in steps eight
times smaller, again and again: what is steep becomes smooth, a jump keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from scalarfid.physics.bonds import Crossing, Scan, Track, ask, crossings
from scalarfid.physics.curves import jumps, kinks, peaks, spread, unexplained_work
from scalarfid.physics.surface import Surface

Array = NDArray[np.float64]
ENERGY_JUMP, FORCE_JUMP, SLOPE_JUMP, WORK = 0.001, 0.1, 5.0, 0.005
"""eV, eV/Å, eV/Å² and eV; larger jumps of E, F and dF/dα are looked for, those of E and F, and a larger |ΔE + ∫F·dx|
beside the jumps, are faults.

GFN2-xTB must have none: over the 31 published scans of mol31 it has at most 0.01 meV, 0.006 eV/Å and 0.9 meV (100
points). Smooth potentials must have none: MACE trained on rMD17 ethanol, bare, with PAN+PGS and with the control, shows
up to 3.6 eV, 9 keV/Å and 0.6 MeV/Å² in these steps, on walls that it extrapolates and that bend within 1e-3 Å, and
nothing that keeps its size. What is broken must be found: a step of 2 meV at the cutoff is, and the jumps of the
snapshot's PGS-edge.
"""
FINER, LEVELS, DEEPEST = 8, 4, 6
"""Steps are so many times smaller at each level. A jump must keep half its size from the third level to the fourth, or
to a later one while it shrinks; steps of 0.02 Å are 5e-6 Å at the fourth level and 8e-8 Å at the last."""
AROUND = 3
"""Intervals on both sides that are looked at with one that is above a limit."""
MOST = 40
"""Intervals of a scan that are looked at again at each level, for each of E, F and dF/dα: those with the largest."""
_LIMITS = np.array([ENERGY_JUMP, FORCE_JUMP, SLOPE_JUMP])


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
        slope: largest jump of dF/dα, in eV/Å²; infinite where it grows as steps become smaller, as where F jumps.
        work: largest |ΔE + ∫F·dx| between any two frames, in eV.
        rest: the same without the stretches where E or F seem to jump.
    """

    energy: Jump
    force: Jump
    slope: Jump
    work: float
    rest: float


@dataclass(frozen=True)
class Piece:
    """A stretch of a scan that is looked at.

    Attributes:
        scan: its frames.
        found: [3,K−1] jumps of E, F and dF/dα that its intervals seem to have; zero for those that are settled.
        before: [3] the largest in the same stretch in steps one level larger.
        earlier: [3] the largest around it in steps two levels larger.
        open: [3] which are not settled.
    """

    scan: Scan
    found: Array
    before: Array
    earlier: Array
    open: NDArray[np.bool_]

    def verdict(self, *, last: bool) -> Array:
        """Sizes [3] of jumps that agree within a factor of two in both steps; zero where there is none, or none yet.

        One that doubled over two levels grows too: by √8 a level where F goes as 1/√α, in the mean but not in every
        one. At the ``last`` level one that grows is infinite.
        """
        now = self.found.max(axis=1)
        kept = (now > _LIMITS) & (now >= self.before / 2)
        grown = np.where(now > 2 * np.minimum(self.before, self.earlier), np.inf if last else 0.0, now)
        return np.where(kept, grown, 0.0)

    def without(self, settled: NDArray[np.bool_]) -> Piece:
        """The piece when some of the three [3] need not be looked at again."""
        return replace(self, found=np.where(settled[:, None], 0.0, self.found), open=self.open & ~settled)

    def largest(self, kind: int, size: float) -> Jump:
        """A jump of a size at the place of the largest."""
        place = int(self.found[kind].argmax())
        return Jump(float(size), float(self.scan.alpha[place]), float(self.scan.alpha[place + 1]))


def roughness(scan: Scan, track: Track) -> Roughness:
    """Jumps and unexplained work of a scan, in the steps that it has; no jumps beside frames that are missing."""
    work = unexplained_work(scan.alpha, track.energy, track.pull(scan))
    found = sizes(scan, track)
    seeming = binary_dilation((found > _LIMITS[:, None])[:2].any(axis=0), iterations=AROUND)
    found[:, beside_gaps(scan.alpha)] = 0.0
    piece = Piece(scan, found, np.zeros(3), np.zeros(3), np.full(3, True))
    largest = [piece.largest(kind, size) for kind, size in enumerate(found.max(axis=1))]
    return Roughness(*largest, work=spread(work), rest=spread(np.where(seeming, 0.0, work)))


def beside_gaps(alpha: Array) -> NDArray[np.bool_]:
    """Intervals [K−1] that lack a frame, and those around them: steps are uneven there, and a wall reads as a jump."""
    steps = np.diff(alpha)
    return binary_dilation(steps > 1.5 * steps.min(), iterations=AROUND)


def looked_at(surface: Surface, scan: Scan, track: Track) -> Roughness:
    """Roughness of a scan with the jumps that remain in smaller steps; the size is 0 where none does."""
    found = roughness(scan, track)
    if found.work > WORK:
        fine = scan.finer(FINER)
        closer = roughness(fine, ask(surface, [fine])[0])
        found = replace(found, work=closer.work, rest=closer.rest)
    energy, force, slope = remaining(surface, scan, track)
    return replace(found, energy=energy, force=force, slope=slope)


def sizes(scan: Scan, track: Track) -> Array:
    """Jumps of E (eV), F (eV/Å) and dF/dα (eV/Å²) that every interval seems to have [3,K−1]."""
    work = unexplained_work(scan.alpha, track.energy, track.pull(scan))
    return np.stack([peaks(work), jumps(track.forces), kinks(scan.alpha, track.forces)])


def remaining(surface: Surface, scan: Scan, track: Track) -> list[Jump]:
    """Largest jumps of E, F and dF/dα that keep their size as steps become smaller; of size 0 where there is none.

    What shrinks or grows is looked at again; at the last level what shrinks is no jump, what grows an infinite one.
    """
    largest = [Jump(0.0, float(scan.alpha[0]), float(scan.alpha[-1]))] * 3
    pieces = [Piece(scan, sizes(scan, track), np.zeros(3), np.zeros(3), np.full(3, True))]
    for level in range(1, DEEPEST + 1):
        pieces = closer(surface, pieces)
        if level < LEVELS:
            continue
        verdicts = [piece.verdict(last=level == DEEPEST) for piece in pieces]
        for piece, verdict in zip(pieces, verdicts, strict=True):
            for kind in np.flatnonzero(verdict > [jump.size for jump in largest]):
                largest[kind] = piece.largest(kind, verdict[kind])
        pieces = [piece.without(verdict > 0) for piece, verdict in zip(pieces, verdicts, strict=True)]
    return largest


def closer(surface: Surface, pieces: Sequence[Piece]) -> list[Piece]:
    """The stretches of pieces around what is above a limit, in smaller steps."""
    asked = list(suspects(pieces))
    scans = [scan for _, scan, _ in asked]
    tracks = ask(surface, scans) if scans else []
    return [
        Piece(scan, sizes(scan, track), before, piece.before, piece.open).without(~piece.open)
        for (piece, scan, before), track in zip(asked, tracks, strict=True)
    ]


def suspects(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Scan, Array]]:
    """Every such stretch: the piece that it is of, the scan in smaller steps, and its largest jumps until now [3]."""
    ranked = np.sort(np.concatenate([np.zeros((3, MOST + 1)), *(piece.found for piece in pieces)], axis=1), axis=1)
    least = np.maximum(_LIMITS, ranked[:, -MOST - 1])[:, None]
    for piece in pieces:
        stretches, count = label(binary_dilation((piece.found > least).any(axis=0), iterations=AROUND))
        for k in range(1, count + 1):
            inside = np.flatnonzero(stretches == k)
            low, high = piece.scan.alpha[inside[0]], piece.scan.alpha[inside[-1] + 1]
            finer = piece.scan.at(np.linspace(low, high, FINER * len(inside) + 1))
            yield piece, finer, piece.found[:, inside].max(axis=1)


def faults_of(scan: Scan, found: Roughness, expected: Roughness | None, cutoff: float | None) -> list[str]:
    """Sentences about what is wrong; a fault is at least twice what the reference has."""

    def at(jump: Jump) -> str:
        where, step = f"at {(jump.low + jump.high) / 2:.2f} Å", jump.high - jump.low
        if cutoff is None:
            return where
        crossed = crossings(scan.at(np.array([jump.low - step, jump.high + step])), cutoff)
        return where + (f", where {_listed(crossed)} the cutoff" if crossed else "")

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


def _listed(crossed: Sequence[Crossing]) -> str:
    """``O0-H1 crosses``, or several pairs ``cross``; four at most by name."""
    names = list(dict.fromkeys(one.pair for one in crossed))
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{shown} cross{'es' if len(names) == 1 else ''}"
