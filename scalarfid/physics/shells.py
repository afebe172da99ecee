"""Radial distribution functions: g(r) of pairs over frames and blocks of frames, and their first shell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from scalarfid.physics.dynamics import pairs

Array = NDArray[np.float64]
BLOCKS = 5
ONSET = 0.1
"""Of g(r); the first shell begins where it reaches this."""


@dataclass(frozen=True)
class Shell:
    """First shell of a pair: Å, Å, a number, a number."""

    onset: float
    peak: float
    height: float
    coordination: float


def counts(frames: Sequence[Atoms], pair: tuple[int, int], edges: Array) -> Array:
    """Mean number of atoms of the second element in every shell around one of the first [frames, bins]."""
    rows = []
    for atoms in frames:
        (i, j), d = pairs(atoms, float(edges[-1]))
        chosen = (atoms.numbers[i] == pair[0]) & (atoms.numbers[j] == pair[1])
        rows.append(np.histogram(d[chosen], edges)[0] / (atoms.numbers == pair[0]).sum())
    return np.array(rows)


def distribution(found: Array, edges: Array, density: float) -> Array:
    """g(r) = n(r) / (4π/3 (r₊³ − r₋³) ρ) of mean numbers in shells [...,bins]; ρ of the second element in 1/Å³."""
    return found / (4 / 3 * np.pi * np.diff(edges**3) * density)


def shell(g: Array, found: Array, edges: Array, ends: float) -> Shell:
    """Of one g(r), with numbers in shells ``found``; the coordination counts up to ``ends`` (Å).

    The onset is interpolated between bins; the peak is a parabola's through seven bins around the highest.
    """
    r = 0.5 * (edges[1:] + edges[:-1])
    top = int(g.argmax())
    reached = int(np.argmax(g >= ONSET))
    onset = np.interp(ONSET, g[reached - 1 : reached + 1], r[reached - 1 : reached + 1]) if reached else r[0]
    around = slice(max(0, top - 3), top + 4)
    a, b, c = np.polyfit(r[around] - r[top], g[around], 2)
    x = -b / (2 * a) if a < 0 else 0.0
    x = float(np.clip(x, r[around][0] - r[top], r[around][-1] - r[top]))
    within = np.interp(ends, edges, np.concatenate([[0.0], np.cumsum(found)]))
    return Shell(float(onset), float(r[top] + x), float(a * x**2 + b * x + c), float(within))


def shell_end(g: Array, edges: Array) -> float:
    """Å; the first minimum of g(r), smoothed over 0.25 Å, beyond its highest peak; the outer end if there is none."""
    r = 0.5 * (edges[1:] + edges[:-1])
    half = max(1, round(0.125 / (r[1] - r[0])))
    smooth = g
    for _ in range(2):
        smooth = np.convolve(np.pad(smooth, half, mode="edge"), np.ones(2 * half + 1) / (2 * half + 1), "valid")
    top = int(smooth.argmax())
    rises = np.flatnonzero(np.diff(smooth[top:]) > 0)
    return float(r[top + rises[0]] if rises.size else edges[-1])


def overlap(g: Array, other: Array) -> float:
    """1 − Σ|g − g′| / Σ(g + g′): 1 for equal curves, 0 for disjoint ones; not finite for empty ones."""
    total = (g + other).sum()
    return float(1 - np.abs(g - other).sum() / total) if total else float("nan")


@dataclass(frozen=True)
class Curve:
    """g(r) of a pair from a run: of all frames [bins] and of blocks [blocks,bins], and the numbers in shells."""

    edges: Array
    g: Array
    blocks: Array
    found: Array

    def shells(self, ends: float) -> tuple[Shell, list[Shell]]:
        """First shell of the whole and of every block, to one end."""
        whole = shell(self.g, self.found.mean(axis=0), self.edges, ends)
        parts = zip(self.blocks, self.found, strict=True)
        return whole, [shell(g, found, self.edges, ends) for g, found in parts]


def curve(frames: Sequence[Atoms], pair: tuple[int, int], edges: Array) -> Curve:
    """Count a pair in frames of one volume."""
    rows = counts(frames, pair, edges)
    found = np.array([part.mean(axis=0) for part in np.array_split(rows, BLOCKS)])
    density = (frames[0].numbers == pair[1]).sum() / frames[0].get_volume()
    return Curve(edges, distribution(rows.mean(axis=0), edges, density), distribution(found, edges, density), found)
