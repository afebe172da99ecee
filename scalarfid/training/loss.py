"""The loss: mse or Huber on energy per atom, force components and stress components."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.functional import huber_loss

from scalarfid.errors import ScalarFidError
from scalarfid.training.metrics import QUANTITIES

Settings = Mapping[str, Any]
"""The ``training`` group of a configuration as plain Python."""


def penalties(deltas: Mapping[str, Tensor], settings: Settings) -> dict[str, Tensor]:
    """Elementwise loss of the differences: Δ², or Huber's ½Δ² up to δ and δ(|Δ| − δ/2) beyond."""
    if settings["loss"] == "mse":
        return {label: delta.square() for label, delta in deltas.items()}
    delta = settings["huber_delta"]
    return {k: huber_loss(d, torch.zeros_like(d), reduction="none", delta=delta) for k, d in deltas.items()}


def given_weights(settings: Settings, epoch: int) -> dict[str, float]:
    """Weights in force at an epoch, as they were given.

    Raises:
        ScalarFidError: if all are zero.
    """
    second = settings["stage_two"] if in_stage_two(settings, epoch) else {}
    chosen = {}
    for label in QUANTITIES:
        later = second.get(f"{label}_weight")
        chosen[label] = float(settings[f"{label}_weight"] if later is None else later)
    if sum(chosen.values()) <= 0:
        raise ScalarFidError("All weights of the loss are 0; set training.energy_weight or training.forces_weight.")
    return chosen


def weights(settings: Settings, epoch: int) -> dict[str, float]:
    """Weights in force at an epoch, normalised to sum 1."""
    given = given_weights(settings, epoch)
    return {label: weight / sum(given.values()) for label, weight in given.items()}


def in_stage_two(settings: Settings, epoch: int) -> bool:
    """Whether an epoch lies in the second stage."""
    start = settings["stage_two"]["from_epoch"]
    return start is not None and epoch >= start


def total_loss(elements: Mapping[str, Tensor], weighting: Mapping[str, float]) -> Tensor:
    """Σ_k w_k ⟨loss_k⟩, each mean over the labelled elements of the batch; a label that is absent adds nothing.

    Where processes share a batch, the mean of their losses is that of the whole batch, however it is divided.
    """
    used = {label: values for label, values in elements.items() if weighting[label] > 0}
    terms = [weighting[k] * v.sum() / (n or 1) for (k, v), n in zip(used.items(), _counts(used.values()), strict=True)]
    return torch.stack(terms).sum()


def _counts(elements: Collection[Tensor]) -> list[float]:
    """Number of elements of each tensor; where processes share a batch, on average over them."""
    counts = [float(values.numel()) for values in elements]
    if not (distributed.is_available() and distributed.is_initialized()):
        return counts
    shared = torch.tensor(counts, device=next(iter(elements)).device)
    distributed.all_reduce(shared)
    return (shared / distributed.get_world_size()).tolist()


def weighted(raw: Mapping[str, float], weighting: Mapping[str, float]) -> dict[str, float]:
    """Columns of a split: ``loss``, and for each label its raw and its weighted loss."""
    parts = {label: weighting[label] * value for label, value in raw.items()}
    columns = {"loss": sum(parts.values())}
    for label, value in raw.items():
        columns[f"loss_{label}"] = value
        columns[f"loss_{label}_weighted"] = parts[label]
    return columns
