"""Whether a run is that of a liquid: it has no Bragg peak, and its first two shells overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from scalarfid.physics.shells import curve, shell_end

Array = NDArray[np.float64]
FINEST = 5.0
"""1/Å; wave vectors are no longer than this."""
BRAGG = 0.5
"""Of :func:`order`; more has a crystal. Hot ones have 0.7 to 0.9, liquids of 54 to 72 atoms 0.2 to 0.4."""
GLASS = 0.14
"""Of :func:`valley`; less has a solid: the ratio at the glass transition by Wendt and Abraham, 1978."""


def waves(cell: Array) -> Array:
    """Wave vectors [K,3] in 1/Å that fit a cell [3,3] (Å), none zero, none longer than ``FINEST``."""
    reach = np.floor(FINEST * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    counts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    found = 2 * np.pi * counts @ np.linalg.inv(cell).T
    length = np.linalg.norm(found, axis=1)
    return found[(length > 0) & (length <= FINEST)]


def order(frames: Sequence[Atoms]) -> float:
    """max_k ⟨|ρ_k|⟩ with ρ_k = 1/N Σ_j exp(i k·r_j), the mean over frames of one cell.

    1 for a monatomic crystal at rest, about √(S(k)/N) for a liquid.
    """
    k = waves(np.asarray(frames[0].cell[:]))
    amplitudes = [np.abs(np.exp(1j * atoms.positions @ k.T).mean(axis=0)) for atoms in frames]
    return float(np.mean(amplitudes, axis=0).max())


def valley(frames: Sequence[Atoms], edges: Array) -> float:
    """Lowest g(r) after the first shell over the highest; of the element where that is least, 1 without a shell.

    H. R. Wendt and F. F. Abraham, Phys. Rev. Lett. 41, 1244 (1978), for like atoms: unlike ones of a molten salt hardly
    mix.
    """
    found = []
    for element in np.unique(frames[0].numbers):
        g = curve(frames, (element, element), edges).g
        outer = np.searchsorted(edges, shell_end(g, edges))
        top = int(g.argmax())
        found.append(float(g[top : max(top, outer) + 1].min() / g[top]) if g[top] > 0 else 1.0)
    return min(found)


def no_liquid(order: float, valley: float) -> str | None:
    """Why numbers of :func:`order` and :func:`valley` are not a liquid's, None where they are."""
    if order > BRAGG:
        return (
            f"a crystal: a wave of its density has {order:.2f} of what a perfect one has (a liquid's below {BRAGG:g})"
        )
    if valley < GLASS:
        return f"a solid: g(r) falls to {valley:.2f} of its peak after the first shell (a liquid's not below {GLASS:g})"
    return None
