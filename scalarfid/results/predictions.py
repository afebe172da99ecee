"""Predictions of a potential beside their references, as arrays: what plots and per-frame tables are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from scalarfid.data import BATCH_EDGES, by_edges, joined
from scalarfid.potential import Potential

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Predictions:
    """References and predictions of B frames with N atoms in all; float64, eV and Å.

    Attributes:
        frame: [B] index of the frame in its source.
        num_atoms: [B].
        isolated: [B] Σ E0 of the potential, eV.
        reference, predicted: ``energy`` [B], ``forces`` [N,3] and, if asked for, ``stress`` [B,3,3].
        labelled: [B] by label, which frames have it.
    """

    frame: NDArray[np.int64]
    num_atoms: NDArray[np.int64]
    isolated: NDArray[np.float64]
    reference: dict[str, NDArray[np.float64]]
    predicted: dict[str, NDArray[np.float64]]
    labelled: dict[str, NDArray[np.bool_]]

    def points(self) -> dict[str, Pair]:
        """(reference, prediction) of labelled values, as :func:`scalarfid.results.parity_plot` takes them.

        Energies are (E − ΣE0)/N.
        """
        chosen = {label: self._rows(label) for label in self.predicted}
        found = {label: (self.reference[label][rows], self.predicted[label][rows]) for label, rows in chosen.items()}
        rows = chosen["energy"]
        reference, predicted = ((e - self.isolated[rows]) / self.num_atoms[rows] for e in found["energy"])
        return found | {"energy": (reference, predicted)}

    def residuals(self) -> dict[str, NDArray[np.float64]]:
        """Prediction minus reference where there is a label, flattened: energy per atom, components of the others."""
        return {label: (predicted - reference).ravel() for label, (reference, predicted) in self.points().items()}

    def frames(self) -> pd.DataFrame:
        """One row per frame: index, atoms, energies, force and stress errors; empty where a label is missing.

        Columns end in their unit's name: ``_eV``, ``_eV_per_atom``, ``_eV_per_A``, ``_eV_per_A3``.
        """
        energy, has = self.predicted["energy"], self.labelled["energy"]
        reference = np.where(has, self.reference["energy"], np.nan)
        table = {
            "frame": self.frame,
            "num_atoms": self.num_atoms,
            "energy_reference_eV": reference,
            "energy_predicted_eV": energy,
            "energy_error_eV_per_atom": (energy - reference) / self.num_atoms,
        }
        owner = np.repeat(np.arange(len(self.frame)), self.num_atoms)
        errors = np.where(self.labelled["forces"][owner, None], self._difference("forces"), np.nan)
        squares = np.bincount(owner, weights=np.square(errors).sum(axis=1), minlength=len(self.frame))
        table["forces_rmse_eV_per_A"] = np.sqrt(squares / (3 * self.num_atoms))
        table["forces_max_error_eV_per_A"] = _largest(np.linalg.norm(errors, axis=1), owner, len(self.frame))
        if "stress" in self.predicted:
            errors = np.where(self.labelled["stress"][:, None, None], self._difference("stress"), np.nan)
            table["stress_rmse_eV_per_A3"] = np.sqrt(np.square(errors).mean(axis=(1, 2)))
        return pd.DataFrame(table)

    def _difference(self, label: str) -> NDArray[np.float64]:
        return self.predicted[label] - self.reference[label]

    def _rows(self, label: str) -> NDArray[np.bool_]:
        has = self.labelled[label]
        return np.repeat(has, self.num_atoms) if label == "forces" else has


def predict(
    potential: Potential,
    graphs: Sequence[Data],
    *,
    batch_edges: int = BATCH_EDGES,
    stress: bool = False,
    device: str = "cpu",
) -> Predictions:
    """Evaluate a potential on labelled graphs.

    Args:
        potential: on ``device``.
        graphs: at least one, of :func:`scalarfid.data.build_graph`.
        batch_edges: edges at a time; changes nothing but speed and memory.
        stress: whether stress is wanted.
        device: of the potential.

    Raises:
        ScalarFidError: for an element the potential was not built for.
    """
    labels = ("energy", "forces", "stress") if stress else ("energy", "forces")
    reference, predicted = ({label: [] for label in labels} for _ in range(2))
    isolated = []
    for chunk in by_edges(graphs, batch_edges):
        batch = joined(chunk).to(device)
        out = potential(batch, stress=stress)
        node_e0 = potential.e0[potential.species(batch.z)]
        isolated.append(node_e0.new_zeros(batch.num_graphs).index_add(0, batch.batch, node_e0))
        for label in labels:
            reference[label].append(batch[label])
            predicted[label].append(out[label])
    return Predictions(
        frame=_array([graph.frame for graph in graphs]),
        num_atoms=np.array([graph.num_nodes for graph in graphs]),
        isolated=_array(isolated),
        reference={label: _array(parts) for label, parts in reference.items()},
        predicted={label: _array(parts) for label, parts in predicted.items()},
        labelled={label: _array([graph[f"has_{label}"] for graph in graphs]) for label in labels},
    )


def _array(parts: Sequence[torch.Tensor]) -> NDArray:
    return torch.cat(list(parts)).detach().cpu().numpy()


def _largest(values: NDArray, owner: NDArray, count: int) -> NDArray:
    largest = np.full(count, -np.inf)
    with np.errstate(invalid="ignore"):  # a frame without labels has no largest error: NaN
        np.maximum.at(largest, owner, values)
    return largest
