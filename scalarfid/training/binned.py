"""Force errors where the probes claim to act: by coordination number, by nearest neighbour, by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from torch import Tensor
from torch_geometric.data import Data

from scalarfid.data import atomic_coordination, edge_lengths

BINS = ("coordination", "nearest_neighbour", "element")
WIDTH = 0.1
"""Å; width of a bin of nearest-neighbour distances, which carries the value of its lower end."""


def surroundings(graph: Data, cutoff: float) -> pd.DataFrame:
    """One row per atom: c_i rounded (METHODS' covalent switch), nearest neighbour in Å, element.

    An atom without a neighbour has coordination 0 and no (NaN) nearest neighbour.
    """
    r, centre = edge_lengths(graph), graph.edge_index[0]
    nearest = torch.full((graph.num_nodes,), torch.inf, dtype=r.dtype).scatter_reduce(0, centre, r, "amin")
    lower = torch.floor(nearest / WIDTH + 1e-9) * WIDTH
    return pd.DataFrame(
        {
            "coordination": atomic_coordination(graph, cutoff).round().int().numpy(),
            "nearest_neighbour": lower.where(nearest.isfinite(), torch.nan).numpy().round(6),
            "element": [chemical_symbols[z] for z in graph.z.tolist()],
        }
    )


class BinnedErrors:
    """Collects force errors atom by atom and averages them over the atoms of each bin.

    Args:
        cutoff: r_c in Å the graphs were built with.
    """

    def __init__(self, cutoff: float) -> None:
        self.cutoff = cutoff
        self.rows: list[pd.DataFrame] = []

    def update(self, graphs: Sequence[Data], delta: Tensor) -> None:
        """Add the force errors [3N], flattened, of those of the graphs that have forces."""
        labelled = [surroundings(graph, self.cutoff) for graph in graphs if bool(graph.has_forces)]
        if not labelled:
            return
        components = delta.detach().to("cpu", torch.float64).reshape(-1, 3)
        table = pd.concat(labelled, ignore_index=True)
        errors = {"absolute": components.abs().mean(1).numpy(), "squared": components.square().mean(1).numpy()}
        self.rows.append(table.assign(**errors))

    def compute(self) -> dict[str, list[dict[str, Any]]]:
        """By kind of bin, in order: ``bin`` (number, Å or symbol), ``atoms``, ``forces_mae``, ``forces_rmse``."""
        if not self.rows:
            return {}
        table = pd.concat(self.rows, ignore_index=True)
        return {by: _averages(table, by) for by in BINS}


def _averages(table: pd.DataFrame, by: str) -> list[dict[str, Any]]:
    groups = table.groupby(by)
    mean = groups[["absolute", "squared"]].mean()
    mean["squared"] = np.sqrt(mean["squared"])
    found = mean.rename(columns={"absolute": "forces_mae", "squared": "forces_rmse"})
    found.insert(0, "atoms", groups.size())
    return found.rename_axis("bin").reset_index().to_dict("records")
