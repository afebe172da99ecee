"""Error tables: one row per split, MAE and RMSE of every label, the error of predicting the mean beneath."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table

from scalarfid.results.units import QUANTITIES, Quantity, in_mev

Metrics = Mapping[str, Mapping[str, float]]
"""Errors by split and name, ``{"test": {"forces_mae": 0.021, …}}``, in eV and Å."""

KINDS = ("mae", "rmse")


def error_table(errors: Metrics, mean_predictor: Metrics | None = None, *, title: str | None = None) -> Table:
    """Table for a console: MAE and RMSE of energy per atom, force and stress components by split, in meV and Å.

    Args:
        errors: as ``summary.json`` holds them under ``metrics``; labels that occur nowhere get no column.
        mean_predictor: the same for predicting the mean of the training labels, shown under each split.
        title: above the table.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD)
    header, rows = _cells(errors, mean_predictor)
    for i, name in enumerate(header):
        table.add_column(name.replace(" (", "\n").rstrip(")"), justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row, style="dim" if row[0].startswith(" ") else None)
    return table


def markdown_table(errors: Metrics, mean_predictor: Metrics | None = None) -> str:
    """The same as :func:`error_table` in Markdown, for a file."""
    return markdown(*_cells(errors, mean_predictor))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column left, the others right."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.strip() for cell in line) + " |" for line in lines) + "\n"


def _cells(errors: Metrics, mean_predictor: Metrics | None) -> tuple[list[str], list[list[str]]]:
    shown = [q for q in QUANTITIES if any(f"{q.metric}_mae" in metrics for metrics in errors.values())]
    header = ["split", *[f"{q.symbol} {kind.upper()} ({q.shown_unit})" for q in shown for kind in KINDS]]
    rows = []
    for split, metrics in errors.items():
        rows.append([split, *_row(metrics, shown)])
        if mean_predictor is not None and split in mean_predictor:
            rows.append(["  mean predictor", *_row(mean_predictor[split], shown)])
    return header, rows


def _row(metrics: Mapping[str, float], shown: Iterable[Quantity]) -> list[str]:
    return [in_mev(metrics.get(f"{q.metric}_{kind}")) for q in shown for kind in KINDS]
