"""Fit a potential: loss, optimiser, schedule, average, checkpoints, and the run directory that keeps them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "MeanPredictor": "metrics",
    "RunResult": "running",
    "StopRequest": "stopping",
    "errors_of": "metrics",
    "run": "running",
}
__all__ = ["MeanPredictor", "RunResult", "StopRequest", "errors_of", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
