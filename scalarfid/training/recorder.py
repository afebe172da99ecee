"""The callbacks that write a run's record (rows, checkpoints, the exported model) and stop it when asked."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from scalarfid.potential import MODEL_FILE, save
from scalarfid.training import checkpoint
from scalarfid.training.directory import Interrupted, RunDirectory
from scalarfid.training.history import History
from scalarfid.training.module import Fitting
from scalarfid.training.stopping import StopRequest


class Recorder(pl.Callback):
    """Writes ``metrics.csv`` at every epoch, checkpoints at every validation.

    Args:
        directory: of the run.
        config: of the run as plain Python.
        history: its ``metrics.csv``.
        resumed: checkpoint to go on from.

    Attributes:
        row: of the last epoch.
        extra: what other callbacks add to the row of an epoch with a validation.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config: dict[str, Any],
        history: History,
        resumed: dict[str, Any] | None,
    ) -> None:
        self.directory, self.config, self.history, self.resumed = directory, config, history, resumed
        self.validated = False
        self.row: dict[str, float] = {}
        self.extra: dict[str, float] = {}
        self._began = checkpoint.Times(time.monotonic(), time.process_time())

    @property
    def times(self) -> checkpoint.Times:
        """Of training, what was before a resume included."""
        before = self.resumed or {"elapsed": 0.0, "processor": 0.0}
        elapsed = before["elapsed"] + time.monotonic() - self._began.elapsed
        processor, now = before.get("processor"), time.process_time()
        return checkpoint.Times(elapsed, None if processor is None else processor + now - self._began.processor)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Give the optimiser its moments back, and the epoch its number."""
        if self.resumed is not None:
            checkpoint.restore_optimizer(trainer.optimizers[0], self.resumed)
        self.history.truncate(pl_module.batches.epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Fitting) -> None:
        """See to it that the last epoch is validated, whatever ``validate_every`` says."""
        self.validated, self.extra = False, {}
        if pl_module.batches.epoch + 1 == pl_module.settings["max_epochs"]:
            trainer.check_val_every_n_epoch = 1

    def on_validation_end(self, *_: Any) -> None:
        """Note that there is a validation."""
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Write the row, draw the consequences, save, stop."""
        self.directory.check_ours()
        self.row = {"epoch": pl_module.batches.epoch, "step": pl_module.step} | pl_module.train_columns()
        if self.validated:
            self.row |= pl_module.val_columns() | self.extra
        better = pl_module.close_epoch(self.row.get("val/loss"))
        self.history.append(self.row)
        self.directory.record(epoch=pl_module.batches.epoch, step=pl_module.step)
        if self.validated:
            self.save(trainer, pl_module, better=better)
        trainer.should_stop = pl_module.finished

    def save(self, trainer: pl.Trainer, module: Fitting, *, better: bool = False) -> None:
        """Write the best model first: a run killed in between repeats the validation and writes it again."""
        self.directory.check_ours()
        state = checkpoint.state_of(module, trainer.optimizers[0], self.config, self.times)
        last = self.directory.checkpoints / checkpoint.LAST
        if better:
            save(module.evaluated, self.directory.path / MODEL_FILE)
            checkpoint.write(state, self.directory.checkpoints / checkpoint.BEST)
            checkpoint.duplicate(self.directory.checkpoints / checkpoint.BEST, last)
        else:
            checkpoint.write(state, last)


class Stopper(pl.Callback):
    """Saves and stops when a signal came; the last of the callbacks, so that the others have done their part.

    Args:
        recorder: that saves.
        stop: looked at after every batch; after the last of an epoch, once the epoch is closed.
    """

    def __init__(self, recorder: Recorder, stop: StopRequest) -> None:
        self.recorder, self.stop = recorder, stop

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Fitting, *_: Any) -> None:
        """Stop in the middle of an epoch."""
        if pl_module.batches.remaining > 0:
            self._stop_if_asked(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Stop between two epochs."""
        self._stop_if_asked(trainer, pl_module)

    def _stop_if_asked(self, trainer: pl.Trainer, module: Fitting) -> None:
        if self.stop.signum is not None:
            self.recorder.save(trainer, module)
            raise Interrupted(self.stop.signum)
