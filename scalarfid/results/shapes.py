"""What the JSON files that a report reads must look like: one description of each, and one check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUMBER, WHOLE, TEXT, SWITCH = "a number", "a whole number", "text", "true or false"


@dataclass(frozen=True)
class Maybe:
    """Null or missing, else of a shape."""

    of: Any


@dataclass(frozen=True)
class Each:
    """An object whose entries, whatever their names, have one shape."""

    of: Any


@dataclass(frozen=True)
class Rows:
    """A list whose items have one shape."""

    of: Any


ERRORS = Each(Each(Maybe(NUMBER)))
COUNT, NUMBERS = Maybe(WHOLE), Maybe(Each(Maybe(NUMBER)))
BIN = {"atoms": WHOLE, "forces_mae": NUMBER, "forces_rmse": NUMBER}
TRAINING = Maybe({"plateau": Maybe(Each(None)), "stage_two": Maybe(Each(None))})
SUMMARY = {
    "backbone": TEXT,
    "probe": TEXT,
    "dataset": TEXT,
    "seed": WHOLE,
    "metrics": ERRORS,
    "mean_predictor": Maybe(ERRORS),
    "binned": Maybe(Each(Each(Rows(BIN)))),
    "history": Maybe(Each(Rows(Maybe(NUMBER)))),
    **dict.fromkeys(("parameters", "n_frames"), Maybe(Each(COUNT))),
    **dict.fromkeys(("flops", "e0"), NUMBERS),
    **dict.fromkeys(("epochs", "best_epoch", "schema", "threads"), COUNT),
    **dict.fromkeys(("training_time_s", "processor_time_s", "evaluation_time_s", "peak_memory_MB"), Maybe(NUMBER)),
    **dict.fromkeys(("cutoff", "scale", "mean_neighbours"), Maybe(NUMBER)),
    **dict.fromkeys(("name", "hash", "dataset_title", "fingerprint", "dtype", "code", "host", "device"), Maybe(TEXT)),
    "compile": Maybe(SWITCH),
    "versions": Maybe(Each(Maybe(TEXT))),
    "config": Maybe({name: Maybe(Each(None)) for name in ("backbone", "probe", "model")} | {"training": TRAINING}),
}
"""Of a ``summary.json``; entries that are not named here are not read."""
GRID = {"cells": Rows({"name": TEXT, "backbone": TEXT, "probe": TEXT, "dataset": TEXT, "seed": WHOLE})}
"""Of ``.sweep/grid.json``."""


def fault(value: Any, shape: Any, name: str = "") -> str | None:
    """Say what is wrong with a value: ``has no 'seed'``, ``has seed null, not a whole number``; None if nothing is.

    Args:
        value: as JSON gives it.
        shape: one of the words above, a dictionary of named entries, or how they are put together; None for anything.
        name: of the value, dotted.
    """
    return next(_faults(value, shape, name), None)


def summary_fault(record: Any) -> str | None:
    """The same for a summary, in which columns of a history and labels of bins also go together."""
    return fault(record, SUMMARY) or _history_fault(record.get("history") or {}) or _bins_fault(record)


def _faults(value: Any, shape: Any, name: str) -> Iterator[str]:
    if isinstance(shape, Maybe):
        yield from _faults(value, shape.of, name) if value is not None else ()
    elif isinstance(shape, str):
        if not _is(value, shape):
            yield f"has {name} {_shown(value)}, not {shape}"
    elif isinstance(shape, Rows):
        if not isinstance(value, list):
            yield f"has {name} {_shown(value)}, not a list"
        else:
            for i, item in enumerate(value):
                yield from _faults(item, shape.of, f"{name}[{i}]")
    elif shape is not None:
        yield from _object_faults(value, shape, name)


def _object_faults(value: Any, shape: Each | Mapping[str, Any], name: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"has {name} {_shown(value)}, not an object" if name else f"is {_shown(value)}, not an object"
        return
    shapes = dict.fromkeys(value, shape.of) if isinstance(shape, Each) else shape
    for key, inner in shapes.items():
        place = f"{name}.{key}" if name else key
        if key not in value and not isinstance(inner, Maybe):
            yield f"has no {place!r}"
        else:
            yield from _faults(value.get(key), inner, place)


def _is(value: Any, kind: str) -> bool:
    if kind in (TEXT, SWITCH):
        return isinstance(value, str if kind == TEXT else bool)
    if isinstance(value, bool) or not isinstance(value, int if kind == WHOLE else (int, float)):
        return False
    return math.isfinite(value)


def _history_fault(history: Mapping[str, Sequence[Any]]) -> str | None:
    """Columns of a learning curve have one row per epoch."""
    lengths = {name: len(column) for name, column in history.items()}
    if len(set(lengths.values())) > 1:
        return f"has columns of unequal length in history ({', '.join(f'{k} {n}' for k, n in lengths.items())})"
    if None in history.get("epoch", ()) or (history and "epoch" not in history):
        return "has rows without an epoch in history"
    return None


def _bins_fault(record: Mapping[str, Any]) -> str | None:
    """Bins of one kind are all numbers or all text, so that they have an order."""
    for split, kinds in (record.get("binned") or {}).items():
        for kind, rows in kinds.items():
            labels = [row.get("bin") for row in rows]
            if not any(all(_is(label, each) for label in labels) for each in (NUMBER, TEXT)):
                return f"has bins that are not all numbers or all text in binned.{split}.{kind}"
    return None


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
