"""Errors of energies, forces and stress, reduced as sums and counts: exact over batches, masks and processes.

Names are an interface: ``{train,val,test}/{energy_per_atom,forces,stress}_{mae,rmse}`` in eV and Å (a further test set
``test_600K`` has ``test_600K/…``). Forces and stress are averaged over components, stress over all nine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchmetrics
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from scalarfid.data import BATCH_EDGES, by_edges, joined
from scalarfid.training.binned import BinnedErrors

QUANTITIES = {"energy": "energy_per_atom", "forces": "forces", "stress": "stress"}
"""Metric name of each label."""


def residuals(output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Prediction minus label where there is a label, flattened, float64.

    Args:
        output: energy [B] eV, forces [N,3] eV/Å and, if predicted, stress [B,3,3] eV/Å³.
        batch: graphs with labels and their masks ``has_energy``, ``has_forces``, ``has_stress`` [B].

    Returns:
        energy: (E − E_ref)/N [labelled frames]; forces, stress: Δ [labelled components].
    """
    atoms = batch.ptr.diff()
    found = {"energy": ((output["energy"] - batch.energy) / atoms)[batch.has_energy]}
    if "forces" in output:
        found["forces"] = (output["forces"] - batch.forces)[batch.has_forces[batch.batch]].flatten()
    if "stress" in output:
        found["stress"] = (output["stress"] - batch.stress)[batch.has_stress].flatten()
    return found


class ErrorSums(torchmetrics.Metric):
    """Σ|Δ|, ΣΔ², Σ loss and their number, in float64; summed over processes."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ("absolute", "squared", "penalty", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum", persistent=True)

    def update(self, delta: Tensor, penalty: Tensor | None = None) -> None:
        """Add differences [n] and, elementwise, what the loss makes of them."""
        delta = delta.detach().to(torch.float64)
        self.absolute += delta.abs().sum()
        self.squared += delta.square().sum()
        self.count += delta.numel()
        if penalty is not None:
            self.penalty += penalty.detach().to(torch.float64).sum()

    def compute(self) -> dict[str, float]:
        """``mae``, ``rmse``, ``loss``; empty when nothing was labelled."""
        count = float(self.count)
        if count == 0:
            return {}
        mae, square, loss = float(self.absolute) / count, float(self.squared) / count, float(self.penalty) / count
        return {"mae": mae, "rmse": square**0.5, "loss": loss}


class Errors(nn.Module):
    """One :class:`ErrorSums` per label."""

    def __init__(self, labels: Iterable[str] = tuple(QUANTITIES)) -> None:
        super().__init__()
        self.sums = nn.ModuleDict({label: ErrorSums() for label in QUANTITIES if label in set(labels)})

    def update(self, deltas: Mapping[str, Tensor], penalties: Mapping[str, Tensor] | None = None) -> None:
        """Add what :func:`residuals` returns, and elementwise losses under the same names."""
        for label, sums in self.sums.items():
            if label in deltas:
                sums.update(deltas[label], (penalties or {}).get(label))

    def reset(self) -> None:
        """Start again at zero."""
        for sums in self.sums.values():
            sums.reset()

    def metrics(self) -> dict[str, float]:
        """``energy_per_atom_mae``, ``energy_per_atom_rmse``, ``forces_mae`` …, for labels that occurred."""
        return {f"{QUANTITIES[k]}_{kind}": v[kind] for k, v in self._found().items() for kind in ("mae", "rmse")}

    def losses(self) -> dict[str, float]:
        """Mean raw loss by label, for labels that occurred."""
        return {label: value["loss"] for label, value in self._found().items()}

    def _found(self) -> dict[str, dict[str, float]]:
        used = {label: sums for label, sums in self.sums.items() if sums.update_called or sums.count > 0}
        return {label: value for label, sums in used.items() if (value := sums.compute())}


def errors_of(
    potential: nn.Module,
    graphs: Sequence[Data],
    *,
    batch_edges: int = BATCH_EDGES,
    stress: bool = False,
    device: Any = None,
    binned: BinnedErrors | None = None,
) -> dict[str, float]:
    """Errors of a potential on labelled graphs; sums in float64, the potential left on its device.

    Args:
        potential: maps a batch to energy, forces and stress.
        graphs: of :func:`scalarfid.data.build_graph`.
        batch_edges: edges at a time; changes nothing but speed and memory.
        stress: whether stress is wanted.
        device: where the potential is; None for the CPU.
        binned: is given the force errors, to sort them.
    """
    errors = Errors(QUANTITIES if stress else ("energy", "forces"))
    for chunk in by_edges(graphs, batch_edges):
        batch = joined(chunk)
        batch = batch if device is None else batch.to(device)
        deltas = residuals(potential(batch, stress=stress), batch)
        errors.update({label: delta.cpu() for label, delta in deltas.items()})
        if binned is not None:
            binned.update(chunk, deltas["forces"])
    return errors.metrics()


@dataclass(frozen=True)
class MeanPredictor:
    """Predicts E = Σ E0 + N·ē, F = 0 (the mean over any frame without net force) and the mean stress σ̄ of training.

    Attributes:
        e0: isolated-atom energies [119] eV by atomic number.
        energy_per_atom: ē, training mean of (E − Σ E0)/N in eV.
        stress: σ̄ [3,3] in eV/Å³.
    """

    e0: Tensor
    energy_per_atom: float
    stress: Tensor

    @classmethod
    def of(cls, graphs: Sequence[Data], e0: Mapping[int, float]) -> MeanPredictor:
        """Take the means over the labelled frames of a training split."""
        table = torch.zeros(119, dtype=torch.float64)
        for z, energy in e0.items():
            table[int(z)] = energy
        energies = [float(g.energy - table[g.z].sum()) / g.num_nodes for g in graphs if bool(g.has_energy)]
        stresses = [g.stress[0] for g in graphs if bool(g.has_stress)]
        return cls(
            e0=table,
            energy_per_atom=sum(energies) / max(len(energies), 1),
            stress=torch.stack(stresses).mean(0) if stresses else torch.zeros(3, 3, dtype=torch.float64),
        )

    def __call__(self, batch: Batch, *, stress: bool = False) -> dict[str, Tensor]:
        """Predict for a batch, in the form that a potential does."""
        atoms = batch.ptr.diff()
        bare = torch.zeros(len(atoms), dtype=torch.float64).index_add(0, batch.batch, self.e0[batch.z])
        out = {"energy": bare + atoms * self.energy_per_atom, "forces": torch.zeros_like(batch.forces)}
        return out | ({"stress": self.stress.expand(len(atoms), 3, 3)} if stress else {})

    def errors(self, graphs: Sequence[Data], *, stress: bool = False) -> dict[str, float]:
        """Errors on labelled graphs, named as those of a potential."""
        return errors_of(self, graphs, stress=stress)  # type: ignore[arg-type]
