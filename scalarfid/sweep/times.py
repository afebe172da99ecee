"""How long a cell will take, from what the finished cells of its experiment took."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from scalarfid.files import read_json
from scalarfid.log import progress
from scalarfid.sweep.cells import Cell

SOURCES = {
    "measured": "from finished cells of the same backbone, probe, data and epochs",
    "probes": "rough, from finished cells of other probes",
    "epochs": "rough, scaled by epochs from finished cells of the same backbone and data",
    "data": "rough, scaled by epochs × edges from finished cells of the same backbone on other data",
    "backbones": "very rough, scaled by epochs × edges from finished cells of other backbones",
}
"""What an estimate rests on, the best first."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of training that a cell still needs, and which of ``SOURCES`` says so; None and "" if nothing does."""

    seconds: float | None
    source: str

    @property
    def rough(self) -> bool:
        """Whether no finished cell is of the same kind."""
        return self.source not in ("", "measured")


@dataclass(frozen=True)
class Load:
    """What sets the time of a run, apart from the machine.

    Attributes:
        backbone, probe: name and options.
        data: fingerprint, cutoff in Å, precision, frames or edges in a batch.
        epochs: the most it may train.
        edges: of all training frames.
    """

    backbone: str
    probe: str
    data: tuple[Any, ...]
    epochs: int
    edges: int

    @classmethod
    def of(cls, config: Mapping[str, Any], fingerprint: str, edges: int) -> Load:
        """The load of a configuration.

        Raises:
            KeyError: an entry is missing.
        """
        model, training = config["model"], config["training"]
        data = (fingerprint, model["cutoff"], model["dtype"], training["batch_size"], training.get("batch_edges"))
        return cls(_text(config["backbone"]), _text(config["probe"]), data, training["max_epochs"], edges)

    @property
    def work(self) -> int:
        """Epochs × edges of the training frames."""
        return self.epochs * max(self.edges, 1)


ALIKE: dict[str, Callable[[Load], Hashable]] = {
    "measured": lambda load: (load.backbone, load.probe, load.data, load.epochs),
    "probes": lambda load: (load.backbone, load.data, load.epochs),
    "epochs": lambda load: (load.backbone, load.data),
    "data": lambda load: load.backbone,
    "backbones": lambda load: None,  # noqa: ARG005 - everything is alike
}
"""By source: loads of which this is equal tell each other's time for a unit of work."""


class Times:
    """Training times of the finished runs in the experiments' folders that a grid writes to.

    Args:
        cells: of the grid.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        known = {(cell.fingerprint, cell.config["model"]["cutoff"]): cell.edges for cell in cells}
        self.rates: dict[tuple[str, Hashable], list[float]] = {}
        for summary in _summaries(cells):
            load = _load(summary, known)
            if load is not None:
                for source, alike in ALIKE.items():
                    rates = self.rates.setdefault((source, alike(load)), [])
                    rates.append(float(summary["training_time_s"]) / load.work)

    def left(self, cell: Cell) -> Estimate:
        """Seconds that a cell still needs, what it has done already taken off."""
        if cell.path is None:
            return Estimate(None, "")
        load = Load.of(cell.config, cell.fingerprint, cell.edges)
        for source, alike in ALIKE.items():
            rates = self.rates.get((source, alike(load)))
            if rates:
                return Estimate((1.0 - _done(cell)) * load.work * fmean(rates), source)
        return Estimate(None, "")


def work_of(cell: Cell) -> int:
    """Epochs × edges of the training frames."""
    return Load.of(cell.config, cell.fingerprint, cell.edges).work


def _summaries(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Of the finished runs beside these cells, theirs too."""
    folders = {cell.path.parent for cell in cells if cell.path is not None}
    files = [file for folder in sorted(folders) for file in sorted(folder.glob("*/summary.json"))]
    yield from filter(None, map(read_json, progress(files, "finished runs")))


def _load(summary: Mapping[str, Any], known: Mapping[tuple[str, float], int]) -> Load | None:
    """Of a finished run; None if its summary does not tell.

    Args:
        summary: of the run.
        known: edges of all training frames by fingerprint and cutoff; for other data, those of one test frame × frames.
    """
    try:
        config, fingerprint = summary["config"], summary["fingerprint"]
        edges = known.get((fingerprint, config["model"]["cutoff"]))
        if edges is None:
            edges = summary["n_frames"]["train"] * summary["flops"]["edges"]
        return Load.of(config, fingerprint, edges) if "training_time_s" in summary else None
    except KeyError:
        return None


def _done(cell: Cell) -> float:
    """Fraction of the epochs that an unfinished cell has behind it."""
    status: Mapping[str, Any] = read_json(Path(cell.path) / "status.json") or {}
    return min(1.0, float(status.get("epoch") or 0) / cell.config["training"]["max_epochs"])


def _text(options: Mapping[str, Any]) -> str:
    """Equal for equal options."""
    return repr(sorted(options.items()))
