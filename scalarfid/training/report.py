"""What a run says at its start, and the summary that it leaves."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from scalarfid.config import SCHEMA_VERSION, conf_dir
from scalarfid.data import Dataset
from scalarfid.log import log
from scalarfid.potential import Potential
from scalarfid.training.directory import RunDirectory
from scalarfid.training.loss import weights

PACKAGES = (
    "scalarfid", "torch", "pytorch-lightning", "torch-geometric", "numpy", "ase",
    "e3nn", "mace-torch", "nequip", "nequip-allegro",
)  # fmt: skip


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
        **results: ``metrics`` and ``mean_predictor`` by split, ``epochs``, ``best_epoch``, ``wall_time_s``.
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
        "host": directory.status["host"],
        "commit": commit(),
        "versions": versions(),
    }


def commit() -> str | None:
    """Commit of the source tree, with ``+`` if files differ from it; None outside a repository."""
    repository = conf_dir().parent
    if not (repository / ".git").exists():
        return None
    try:
        head = _git(repository, "rev-parse", "HEAD")
        changes = _git(repository, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changes else "")


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - ours
    return answer.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers, those that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
