"""``metrics.csv``: a row for every epoch, flushed as it ends, cut back to the checkpoint before a replay."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from scalarfid.files import write_text
from scalarfid.training.metrics import QUANTITIES

HEAD = ("epoch", "step", "lr", "lr_probe")


def columns(labels: Collection[str]) -> list[str]:
    """Names of the columns for a dataset with these labels."""
    names = list(HEAD)
    for split in ("train", "val"):
        present = [label for label in QUANTITIES if label in labels]
        names += [f"{split}/loss", *(f"{split}/loss_{label}{end}" for label in present for end in ("", "_weighted"))]
        names += [f"{split}/{QUANTITIES[label]}_{kind}" for label in present for kind in ("mae", "rmse")]
    return names


class History:
    """The file, with columns that are the same from the first row to the last.

    Args:
        path: of ``metrics.csv``.
        labels: labels that the training frames have.
        extra: names of further columns.
    """

    def __init__(self, path: Path, labels: Collection[str], extra: Iterable[str] = ()) -> None:
        self.path = path
        self.columns = [*columns(labels), *extra]

    def truncate(self, epoch: int) -> None:
        """Keep whole rows of epochs before this one."""
        rows = []
        if self.path.is_file():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if _whole(row) and int(row["epoch"]) < epoch]
        write_text(self.path, self._text(rows, head=True))

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add an epoch; numbers are written so that they read back exactly, what was not measured stays empty."""
        with self.path.open("a", newline="") as file:
            file.write(self._text([{name: repr(value) for name, value in row.items()}], head=False))

    def _text(self, rows: list[dict[str, str]], *, head: bool) -> str:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, self.columns, restval="", extrasaction="ignore", lineterminator="\n")
        if head:
            writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue()


def _whole(row: Mapping[str, str | None]) -> bool:
    """Whether the row was written to its end: a row cut short misses its last fields altogether."""
    return all(value is not None for value in row.values()) and str(row["epoch"]).isdigit()
