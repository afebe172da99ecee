"""The identity of a run: a hash over everything that changes its numbers, and the directory name made with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

SCHEMA_VERSION = 2
"""Raised when the same configuration would give other numbers than before."""

NOT_IN_HASH = ("run", "logger", "hydra", "budget")
"""Groups that change no number: run holds root, experiment, force, device, threads, workers, progress.

What an experiment takes from ``budget`` is in the groups that it goes to, and counts there.
"""


def run_hash(config: Mapping[str, Any], *, fingerprint: str, e0: Mapping[int, float]) -> str:
    """Eight hexadecimal digits over the schema version, seed, backbone, probe, model, training and the data.

    Data enter by what they are, not by where they lie: the fingerprint (sha256 of files, frames of every split, keys,
    units) and E0. ``training.resume_from`` enters by the name of the run that it points to.

    Args:
        config: the whole configuration as plain Python.
        fingerprint: of the dataset.
        e0: isolated-atom energies in eV by atomic number.
    """
    counted = {key: value for key, value in config.items() if key not in NOT_IN_HASH}
    counted["dataset"] = {"fingerprint": fingerprint, "e0": {str(z): float(e) for z, e in sorted(e0.items())}}
    counted["schema"] = SCHEMA_VERSION
    origin = counted["training"].get("resume_from")
    if origin is not None:
        counted["training"] = {**counted["training"], "resume_from": PurePath(origin).name}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_name(config: Mapping[str, Any], digest: str) -> str:
    """``<backbone>-<probe>-<dataset>-s<seed>-<hash8>``; a set of several molecules adds the molecule's name."""
    dataset = config["dataset"]
    data = "_".join(filter(None, (dataset["name"], dataset.get("molecule"))))
    return f"{config['backbone']['name']}-{config['probe']['name']}-{data}-s{config['seed']}-{digest}"


def run_path(config: Mapping[str, Any], digest: str) -> Path:
    """``<root>/<experiment>/<name>``, where the run keeps everything."""
    return Path(config["run"]["root"]) / config["run"]["experiment"] / run_name(config, digest)
