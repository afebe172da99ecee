"""What a run says at its start, and the summary that it leaves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from torch_geometric.data import Data

from scalarfid.config import SCHEMA_VERSION
from scalarfid.data import Dataset, joined
from scalarfid.flops import count_flops
from scalarfid.log import log
from scalarfid.memory import most_resident
from scalarfid.potential import Potential
from scalarfid.training.directory import RunDirectory
from scalarfid.training.loss import weights
from scalarfid.training.provenance import versions


def parameters_of(potential: Potential) -> dict[str, int]:
    """Numbers of parameters of backbone and probe, the same for the trained weights and their frozen average."""
    backbone = sum(p.numel() for _, p in potential.named_backbone_parameters())
    probe = sum(p.numel() for _, p in potential.named_probe_parameters())
    return {"backbone": backbone, "probe": probe, "total": backbone + probe}


def announce(config: Mapping[str, Any], dataset: Dataset, potential: Potential, device: str, path: Any) -> None:
    """Log what will be trained on what, and where everything will be."""
    counts, statistics, settings = parameters_of(potential), dataset.statistics, config["training"]
    frames = ", ".join(f"{name} {count}" for name, count in statistics.n_frames.items())
    e0 = ", ".join(f"{chemical_symbols[z]} {energy:.6g}" for z, energy in dataset.e0.items())
    loss = ", ".join(f"{label} {weight:.3g}" for label, weight in weights(settings, 0).items())
    name = f"{config['backbone']['name']} with {config['probe']['name']}"
    log.info("model    %s: %d + %d parameters (backbone + probe)", name, counts["backbone"], counts["probe"])
    log.info("data     %s: %s frames of %d–%d atoms", dataset.title, frames, *statistics.n_atoms)
    log.info("energy   E0 %s eV; scale %.4g eV; %.1f neighbours", e0, statistics.rms_force, statistics.mean_neighbours)
    log.info("loss     %s, weights %s", settings["loss"], loss)
    log.info("device   %s, %s, cutoff %g Å", device, config["model"]["dtype"], config["model"]["cutoff"])
    log.info("results  %s (metrics.csv, checkpoints, model.safetensors, summary.json)", path)
    if "stress" in dataset.labels and weights(settings, 0)["stress"] == 0:
        log.warning("%s has stresses, and training.stress_weight is 0: they are not trained on.", dataset.title)


def summarise(
    config: Mapping[str, Any],
    dataset: Dataset,
    potential: Potential,
    directory: RunDirectory,
    **results: Any,
) -> dict[str, Any]:
    """Everything a table needs to know about a finished run.

    Args:
        config: of the run.
        dataset: that it was trained on.
        potential: the best.
        directory: of the run.
        **results: ``metrics`` and ``mean_predictor`` by split, ``binned`` by test set, ``epochs``, times.
    """
    return {
        "name": directory.path.name,
        "schema": SCHEMA_VERSION,
        "hash": directory.status["hash"],
        "backbone": config["backbone"]["name"],
        "probe": config["probe"]["name"],
        "dataset": dataset.name,
        "dataset_title": dataset.title,
        "fingerprint": dataset.fingerprint,
        "seed": config["seed"],
        **results,
        "parameters": parameters_of(potential),
        "n_frames": dataset.statistics.n_frames,
        "e0": {chemical_symbols[z]: energy for z, energy in dataset.e0.items()},
        "scale": dataset.statistics.rms_force,
        "mean_neighbours": dataset.statistics.mean_neighbours,
        "dtype": config["model"]["dtype"],
        "cutoff": config["model"]["cutoff"],
        "config": {name: config[name] for name in ("backbone", "probe", "model", "training")},
        "flops": flops_of(potential, next(graphs[0] for graphs in (*dataset.test.values(), dataset.val) if graphs)),
        "peak_memory_MB": peak_memory(),
        "history": curves(directory.path / "metrics.csv"),
        "host": directory.status["host"],
        "device": device_name(potential.e0.device),
        "threads": torch.get_num_threads(),
        "compile": config["run"]["compile"],
        "commit": directory.status["commit"],
        "code": directory.status["code"],
        "versions": versions(),
    }


def flops_of(potential: Potential, graph: Data) -> dict[str, int]:
    """Operations of energy and forces at inference on one frame, and its size; the same frame for every arm."""
    batch = joined([graph]).to(potential.e0.device)
    flops = count_flops(lambda: potential(batch))
    return {
        "matmul": flops.matmul,
        "elementwise": flops.elementwise,
        "total": flops.total,
        "atoms": graph.num_nodes,
        "edges": graph.num_edges,
    }


def device_name(device: torch.device) -> str:
    """``cpu``, or the model of the GPU: times of two models are not comparable."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_memory() -> float:
    """Largest memory that this process held, in 10⁶ bytes: allocated on the GPU if one was used, else resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    return most_resident() / 1e6


def curves(path: Path) -> dict[str, list[float | None]]:
    """Columns of ``metrics.csv`` that a learning curve is drawn from; None where nothing was measured."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name in ("epoch", "step") or _is_curve(name)]
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in names}


def _is_curve(name: str) -> bool:
    return name.startswith("val/") and (name == "val/loss" or name.endswith("_mae"))
