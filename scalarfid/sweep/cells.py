"""The cells of a grid: which run each command stands for, where it is kept, and how far it has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from scalarfid.caught import Caught
from scalarfid.config import compose, run_hash, run_path
from scalarfid.config.messages import to_plain
from scalarfid.log import log, progress
from scalarfid.training.directory import state_of


@dataclass(frozen=True)
class Facts:
    """What a plan needs of a dataset: fingerprint, E0 in eV by atomic number, edges of all training frames."""

    fingerprint: str
    e0: dict[int, float]
    edges: int


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        words: overrides that make it, as for the command line.
        config: the whole configuration as plain Python.
        path: of its run directory; None where the data cannot be loaded.
        fingerprint: of the data.
        edges: of all training frames.
        problem: why there is no path.
    """

    words: tuple[str, ...]
    config: dict[str, Any]
    path: Path | None = None
    fingerprint: str = ""
    edges: int = 0
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of the run directory, else the overrides."""
        return " ".join(self.words) if self.path is None else self.path.name

    @property
    def state(self) -> str:
        """What its directory says now: a state of a run, ``missing``, or ``no data`` where there is no path."""
        return "no data" if self.path is None else state_of(self.path)


def expand(jobs: Sequence[Sequence[str]]) -> list[Cell]:
    """Cells of a sweep, in its order, each run once; every dataset is loaded once.

    Args:
        jobs: overrides of each job.

    Raises:
        ScalarFidError: for a configuration that does not compose. Data that cannot be used are the cell's own problem.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}
    known: dict[str, Facts | str] = {}
    configs = [_configured(words, composed) for words in progress(jobs, "configurations", total=len(jobs))]
    pairs = progress(zip(jobs, configs, strict=True), "data", total=len(jobs))
    cells: dict[Path | tuple[str, ...], Cell] = {}
    for words, config in pairs:
        cell = _cell(tuple(words), config, known)
        cells.setdefault(cell.path or cell.words, cell)
    if len(cells) < len(jobs):
        log.info("%d of %d cells are given again and count once.", len(jobs) - len(cells), len(jobs))
    return list(cells.values())


def _configured(words: Sequence[str], composed: dict[tuple[str, ...], DictConfig]) -> dict[str, Any]:
    """Plain configuration. Composing takes a tenth of a second, so cells that differ in the seed share it."""
    seeds = [word.partition("=")[2] for word in words if word.startswith("seed=")]
    if len(seeds) != 1 or not seeds[0].isdecimal():
        return to_plain(compose(words))
    rest = tuple(word for word in words if not word.startswith("seed="))
    if rest not in composed:
        composed[rest] = compose(rest)
    OmegaConf.update(composed[rest], "seed", int(seeds[0]))
    return to_plain(composed[rest])


def _cell(words: tuple[str, ...], config: dict[str, Any], known: dict[str, Facts | str]) -> Cell:
    model = config["model"]
    key = json.dumps([config["dataset"], model["cutoff"], model["coordination"]["switch"]], sort_keys=True)
    if key not in known:
        known[key] = _facts(config)
    facts = known[key]
    if isinstance(facts, str):
        return Cell(words, config, problem=facts)
    digest = run_hash(config, fingerprint=facts.fingerprint, e0=facts.e0)
    return Cell(words, config, run_path(config, digest), facts.fingerprint, facts.edges)


def _facts(config: Mapping[str, Any]) -> Facts | str:
    """What the data are, or why they cannot be used."""
    from scalarfid.data import load  # noqa: PLC0415 - imports torch

    model = config["model"]
    with Caught() as caught:
        data = load(config["dataset"], cutoff=model["cutoff"], switch=model["coordination"]["switch"])
        return Facts(data.fingerprint, data.e0, sum(graph.num_edges for graph in data.train))
    return caught.text


def with_threads(cell: Cell, threads: int | None) -> list[str]:
    """Overrides of a cell, with torch's threads where the user did not say how many."""
    free = threads is not None and cell.config["run"]["threads"] is None
    return [*cell.words, *([f"run.threads={threads}"] if free else [])]
