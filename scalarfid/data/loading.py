"""From a dataset's config to splits of graphs: read, check, split, fingerprint, build, count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from torch_geometric.data import Data

from scalarfid.data.cache import cache_folder
from scalarfid.data.config import DatasetConfig, as_config
from scalarfid.data.energies import atomic_energies, is_isolated
from scalarfid.data.graph_cache import cached_graphs
from scalarfid.data.labels import check_frames
from scalarfid.data.reading import read_frames
from scalarfid.data.sources import Located, filled, find, given_files, locate, wanted_sizes
from scalarfid.data.splits import Split, split_frames
from scalarfid.data.statistics import Statistics, statistics_of
from scalarfid.errors import ScalarFidError
from scalarfid.log import log

VERSION = 1  # of what is done to frames between the file and the graph


@dataclass(frozen=True)
class Dataset:
    """Graphs of one set in splits, and what a model and a table need to know about it.

    Attributes:
        name: the config's name; title: what tables call it.
        train, val: graphs; test: graphs by name (``test``, ``test_600K`` …).
        elements: atomic numbers in any split, sorted.
        e0: energy of an isolated atom in eV by atomic number.
        statistics: of the training split.
        fingerprint: sha256 over file contents, the frames of every split, keys and units.
        labels: labels that some training frame has, of energy, forces, stress.
        provenance: files with sha256, licence, citation, numbers of frames dropped, warnings.
    """

    name: str
    title: str
    train: list[Data]
    val: list[Data]
    test: dict[str, list[Data]]
    elements: tuple[int, ...]
    e0: dict[int, float]
    statistics: Statistics
    fingerprint: str
    labels: frozenset[str]
    provenance: dict[str, Any]


def load(
    config: Mapping[str, Any] | DatasetConfig,
    *,
    cutoff: float,
    seed: int = 0,  # noqa: ARG001 - part of the call, and shown here to have no influence
    switch: str = "covalent",
) -> Dataset:
    """Load a dataset: files found, downloaded or generated; labels checked; split; graphs from the shared cache.

    Args:
        config: a dataset config (``conf/dataset``), as mapping, Hydra node or ``DatasetConfig``.
        cutoff: r_c in Å.
        seed: the run's seed. It has no influence: all seeds share the split of ``dataset.split_seed``.
        switch: coordination switch of the model, for ⟨c⟩ (``covalent`` or ``cutoff``).

    Raises:
        ScalarFidError: anything DESIGN's label rules refuse, a file that is missing, damaged or cannot be written.
    """
    config = as_config(config)
    if not cutoff > 0:
        raise ScalarFidError(f"model.cutoff={cutoff} Å; it must be positive")
    located = _locate(config)
    split, isolated, warnings = _split(config, located)
    splits = {"train": split.train, "val": split.val, **split.test}
    _warn_of_new_elements(splits, warnings)
    elements = sorted({int(z) for part in splits.values() for atoms in part for z in atoms.numbers})
    e0 = atomic_energies(config.e0, split.train, isolated, elements, config.e0_values)
    fingerprint = _fingerprint(located, splits)
    graphs = cached_graphs(splits, cutoff, fingerprint, cache_folder(config.cache))
    statistics = statistics_of(graphs, e0, cutoff, switch)
    _log_summary(located, statistics, split)
    return Dataset(
        name=config.name,
        title=located.title,
        train=graphs.pop("train"),
        val=graphs.pop("val"),
        test=graphs,
        elements=tuple(elements),
        e0=e0,
        statistics=statistics,
        fingerprint=fingerprint,
        labels=frozenset(label for label, count in statistics.n_labels["train"].items() if count),
        provenance=_provenance(config, located, split, len(isolated), warnings),
    )


def training_frames(config: Mapping[str, Any] | DatasetConfig) -> list[Atoms]:
    """Frames of the training split that :func:`load` makes graphs of, labelled; nothing is downloaded or generated.

    Raises:
        ScalarFidError: the set's files are not on this machine, or as in :func:`load`.
    """
    config = as_config(config)
    given = config.path or config.train
    located = given_files(config) if given else find(config)
    if located is None:
        raise ScalarFidError(f"the files of dataset {config.name} are not on this machine")
    return _split(config, located)[0].train


def check_weights(dataset: Dataset, *, energy: float = 0.0, forces: float = 0.0, stress: float = 0.0) -> None:
    """Refuse a loss that weighs a label no training frame has.

    Raises:
        ScalarFidError: the label, its weight and what the set does have.
    """
    for label, weight in (("energy", energy), ("forces", forces), ("stress", stress)):
        if weight > 0 and label not in dataset.labels:
            has = ", ".join(sorted(dataset.labels)) or "no labels"
            raise ScalarFidError(
                f"training.{label}_weight={weight:g}, but no training frame of {dataset.title} has "
                f"{label} (it has {has}); set it to 0 or correct dataset.keys.{label}"
            )


def _locate(config: DatasetConfig) -> Located:
    if config.recipe is not None:
        from scalarfid.data import generate  # noqa: PLC0415 - imports ase.md, which no other set needs

        path, mark = generate.generated_file(config)
        return Located(
            title=filled(config, config.title or config.name),
            where="generated",
            files={"all": path},
            marks={"all": mark},
            keys=config.keys,
            units=config.units,
            sizes=wanted_sizes(config),
        )
    return locate(config) if config.layouts else given_files(config)


def _split(config: DatasetConfig, located: Located) -> tuple[Split, list[Atoms], list[str]]:
    """Splits, the single atoms, and warnings."""
    frames, isolated, warnings = _read(located)
    split = split_frames(
        frames, located.sizes, seed=config.split_seed, group_key=config.group_key, duplicates=config.duplicates
    )
    if config.hide_test:
        split.test.clear()
    return split, isolated, warnings


def _read(located: Located) -> tuple[dict[str, list[Atoms]], list[Atoms], list[str]]:
    """Frames by role without the single atoms, the single atoms, and warnings."""
    indices = {role: path for role, path in located.files.items() if role.startswith("index_")}
    rows = {role.removeprefix("index_"): _rows(path) for role, path in indices.items()}
    frames: dict[str, list[Atoms]] = {}
    for role, path in located.files.items():
        if role == "all" and rows:
            frames |= {part: read_frames(path, located.keys, located.units, rows[part]) for part in rows}
        elif not role.startswith("index_"):
            frames[role] = read_frames(path, located.keys, located.units)
    sources = {role: str(located.files.get(role, located.files.get("all"))) for role in frames}
    warnings = [line for role, part in frames.items() for line in check_frames(part, sources[role])]
    isolated = [atoms for part in frames.values() for atoms in part if is_isolated(atoms)]
    frames = {role: [atoms for atoms in part if not is_isolated(atoms)] for role, part in frames.items()}
    if isolated:
        names = ", ".join(sorted({chemical_symbols[atoms.numbers[0]] for atoms in isolated}))
        log.info("%d single-atom frames (%s) are kept for E0 and leave the splits", len(isolated), names)
    frames.pop("isolated", None)
    return frames, isolated, warnings


def _rows(path: Any) -> list[int]:
    try:
        return np.loadtxt(path, dtype=int).reshape(-1).tolist()
    except ValueError as error:
        raise ScalarFidError(f"{path} should hold one row number a line: {error}") from error


def _warn_of_new_elements(splits: dict[str, list[Atoms]], warnings: list[str]) -> None:
    known = {int(z) for atoms in splits["train"] for z in atoms.numbers}
    for name, frames in splits.items():
        new = {int(z) for atoms in frames for z in atoms.numbers} - known
        if new:
            symbols = ", ".join(chemical_symbols[z] for z in sorted(new))
            warnings.append(f"{name} has {symbols}, which no training frame has")
            log.warning(warnings[-1])


def _fingerprint(located: Located, splits: dict[str, list[Atoms]]) -> str:
    record = {
        "version": VERSION,
        "files": located.marks,
        "splits": {name: [atoms.info["frame"] for atoms in frames] for name, frames in splits.items()},
        "keys": asdict(located.keys),
        "units": asdict(located.units),
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _provenance(
    config: DatasetConfig, located: Located, split: Split, isolated: int, warnings: list[str]
) -> dict[str, Any]:
    files = {role: {"path": str(path), "sha256": located.marks[role]} for role, path in located.files.items()}
    return {
        "title": located.title,
        "where": located.where,
        "files": files,
        "licence": config.licence,
        "citation": config.citation,
        "dropped": split.dropped | ({"isolated_atoms": isolated} if isolated else {}),
        "warnings": warnings,
    }


def _log_summary(located: Located, statistics: Statistics, split: Split) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in statistics.n_frames.items())
    log.info("%s (%s): %s frames", located.title, located.where, counts)
    if count := split.dropped.get("duplicates"):
        log.warning("%s: %d frames dropped from train (duplicates)", located.title, count)
