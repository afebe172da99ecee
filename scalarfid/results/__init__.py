"""Keep and compare what came out: predictions, error tables, parity plots, summaries of runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Predictions": "predictions",
    "error_table": "tables",
    "markdown_table": "tables",
    "parity_plot": "plots",
    "predict": "predictions",
    "read_summaries": "summary",
    "write_table": "summary",
}
__all__ = ["Predictions", "error_table", "markdown_table", "parity_plot", "predict", "read_summaries", "write_table"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
