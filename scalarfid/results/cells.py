"""One finished run as a report sees it: its errors, its cost, and the facts that make it comparable with another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalarfid.results.shapes import summary_fault
from scalarfid.results.summary import UnreadableError, read_object, summaries

PACKAGES = ("torch", "e3nn", "mace-torch", "nequip", "nequip-allegro")
"""Packages whose versions change numbers."""
PLAIN = ("fingerprint", "n_frames", "cutoff", "dtype", "e0", "scale", "mean_neighbours", "schema", "code")
"""Entries of a summary that every cell of a comparison has in common."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A finished run: its summary, and where and when it was written.

    Attributes:
        path: of the summary.
        written: modification time of the file, s since 1970.
        record: the summary.
    """

    path: Path
    written: float
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the run directory."""
        return self.record.get("name") or self.path.parent.name

    @property
    def probe(self) -> str:
        """Name of the probe set."""
        return self.record["probe"]

    @property
    def seed(self) -> int:
        """Of weights and batches."""
        return self.record["seed"]

    @property
    def hash(self) -> str:
        """Of the configuration and the data; a dash in summaries that have none."""
        return self.record.get("hash") or "–"

    @property
    def options(self) -> dict[str, Any]:
        """What an arm may have of its own: options of the probe set by dotted name, and the rate of its modules."""
        found = flat(self.get("config", "probe") or {})
        options = {key: value for key, value in found.items() if key != "name"}
        return options | {"probe_lr": self.rate} if options and self.rate is not None else options

    @property
    def rate(self) -> float | None:
        """Learning rate of the probe's modules, which is the backbone's unless they have their own."""
        own = self.get("config", "training", "probe_lr")
        return self.get("config", "training", "lr") if own is None else own

    def get(self, *keys: str) -> Any:
        """Entry of the summary, None if it or anything above it is missing."""
        found: Any = self.record
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    def error(self, split: str, metric: str, *, of: str = "metrics") -> float | None:
        """Error in eV and Å, of the run or (``of="mean_predictor"``) of predicting the mean; None if not a number."""
        value = self.get(of, split, metric)
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

    def facts(self) -> dict[str, Any]:
        """What must be equal in two cells that are compared, by dotted name.

        Probe, seed and the rate of the probe's modules are not in it: every arm may have its own. A run that continues
        another says ``a run``: each arm continues its own.
        """
        found = flat({name: self.get(name) for name in PLAIN})
        for part in ("backbone", "model", "training"):
            found |= flat(self.get("config", part) or {}, part)
        if found.get("training.resume_from") is not None:
            found["training.resume_from"] = "a run"
        found |= {f"versions.{name}": self.get("versions", name) for name in PACKAGES}
        for other in ("model.cutoff", "model.dtype", "backbone.name", "training.probe_lr"):  # repeated, or an arm's own
            found.pop(other, None)
        return found


def read_cells(places: Iterable[str | Path]) -> tuple[list[Cell], list[UnreadableError]]:
    """Read the finished runs in or below the places given, by path, and say which summaries cannot be used.

    Raises:
        ScalarFidError: a place without runs, or no summary that can be used.
    """
    cells, unreadable = [], []
    for file in summaries(places):
        try:
            cells.append(_cell(file))
        except UnreadableError as error:
            unreadable.append(error)
    if not cells:
        raise unreadable[0]
    return cells, unreadable


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings as one, ``{"pan": {"hidden": 16}}`` as ``{"pan.hidden": 16}``."""
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{name}.{key}" if name else str(key))
    return found


def canonical(value: Any) -> str:
    """Text that is equal for equal JSON values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _cell(file: Path) -> Cell:
    record = read_object(file)
    why = summary_fault(record)
    if why:
        raise UnreadableError(file, why)
    return Cell(file, file.stat().st_mtime, record)
