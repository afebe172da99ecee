"""Neighbours of a structure that moves: searched for with room to spare, and again only when that is used up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalarfid.data.graphs import Pairs, distances, neighbours


class VerletList:
    """Same pairs as :func:`~scalarfid.data.graphs.neighbours` for one structure after another, mostly without a search.

    Pairs within the cutoff and a skin are kept until an atom has moved by half the skin or the cell has changed
    (Verlet, Phys. Rev. 159, 98 (1967)); those within the cutoff are picked at every call. Their order depends on the
    pairs alone, not on what came before, so that a run that goes on elsewhere adds up the same numbers.

    Args:
        skin: in Å.
    """

    def __init__(self, skin: float = 0.5) -> None:
        self.skin = skin
        self._known: tuple[NDArray[np.float64], tuple[object, ...], Pairs] | None = None

    def __call__(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
    ) -> Pairs:
        """Pairs within the cutoff, sorted."""
        box = (positions.shape, cell.tobytes(), pbc.tobytes(), cutoff)
        if self._known is None or self._known[1] != box or _farthest(positions, self._known[0]) > self.skin / 2:
            pairs = neighbours(positions, cell, pbc, cutoff + self.skin)
            self._known = positions.copy(), box, _in_order(pairs)
        pairs = self._known[2]
        near = distances(positions, cell, pairs) < cutoff
        return np.compress(near, pairs[0], axis=1), pairs[1][near]  # rows stay contiguous


def _farthest(positions: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    return float(np.sqrt(((positions - before) ** 2).sum(1).max(initial=0.0)))


def _in_order(pairs: Pairs) -> Pairs:
    (first, second), shifts = pairs
    order = np.lexsort((*shifts.T, second, first))
    return np.take(pairs[0], order, axis=1), shifts[order]
