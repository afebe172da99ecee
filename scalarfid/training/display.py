"""What training shows while it runs: one bar with the validation errors, or plain lines without a terminal."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scalarfid.log import console, log
from scalarfid.training.module import Fitting
from scalarfid.training.recorder import Recorder

SHOWN = {"E": ("energy_per_atom", "meV/atom"), "F": ("forces", "meV/Å"), "S": ("stress", "meV/Å³")}
QUIET = 10.0
"""Seconds between two lines when there is no terminal."""


def errors_text(row: dict[str, float], kind: str = "mae") -> str:
    """Validation errors of a row: ``E 1.2 meV/atom  F 34 meV/Å``."""
    parts = []
    for letter, (name, unit) in SHOWN.items():
        value = row.get(f"val/{name}_{kind}")
        if value is not None:
            parts.append(f"{letter} {1000 * value:.3g} {unit}")
    return "  ".join(parts)


class Display(pl.Callback):
    """Progress of a run on stderr.

    Args:
        recorder: whose rows are shown; it must come earlier in the list of callbacks.
        bar: whether to draw a bar on a terminal.
    """

    def __init__(self, recorder: Recorder, *, bar: bool) -> None:
        self.recorder = recorder
        self.errors = "not validated yet"
        self._spoke = 0.0
        self._progress: Progress | None = None
        if bar and console.is_terminal:
            text = TextColumn("epoch {task.fields[epoch]}  val MAE {task.fields[errors]}")
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), text)
            self._progress = Progress(*columns, console=console, transient=True)

    def on_train_start(self, _trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Draw the bar."""
        if self._progress is not None:
            self._progress.start()
            total, done = pl_module.total_steps, pl_module.step
            fields = {"epoch": self._epoch(pl_module), "errors": self.errors}
            self._task = self._progress.add_task("", total=total, completed=done, **fields)

    def on_train_batch_end(self, _trainer: pl.Trainer, pl_module: Fitting, *_: Any) -> None:
        """Advance the bar."""
        if self._progress is not None:
            fields = {"epoch": self._epoch(pl_module), "errors": self.errors}
            self._progress.update(self._task, completed=pl_module.step, **fields)

    def on_train_epoch_end(self, _trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Show the validation's errors."""
        if not self.recorder.validated:
            return
        self.errors = errors_text(self.recorder.row)
        now = time.monotonic()
        if self._progress is None and (now - self._spoke > QUIET or pl_module.finished):
            self._spoke = now
            done, last = pl_module.batches.epoch, pl_module.settings["max_epochs"]
            log.info("epoch %d/%d  validation MAE  %s", done, last, self.errors)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()

    @staticmethod
    def _epoch(module: Fitting) -> str:
        return f"{module.batches.epoch + 1}/{module.settings['max_epochs']}"
