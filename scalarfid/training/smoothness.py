"""Smoothness while a model is trained: a question to the averaged weights at every so-many-th validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytorch_lightning as pl
import torch

from scalarfid.potential import Potential
from scalarfid.training.module import Fitting
from scalarfid.training.recorder import Recorder


class Watch(Protocol):
    """Numbers about a potential.

    Attributes:
        columns: their names.
    """

    columns: Sequence[str]

    def __call__(self, potential: Potential) -> dict[str, float]:
        """Return the numbers that could be measured, by name."""
        ...


class Smoothness(pl.Callback):
    """Adds what a watch says to the rows of ``metrics.csv``.

    It changes nothing: the watch gets a float64 copy of the averaged weights, and torch's generators are afterwards
    what they were. Which validations it looks at follows from the epoch, so a resumed run looks at the same.

    Args:
        recorder: whose rows it adds to.
        watch: what is asked.
        every: so many validations, and at the last epoch.
    """

    def __init__(self, recorder: Recorder, watch: Watch, every: int) -> None:
        self.recorder, self.watch, self.every = recorder, watch, every

    def on_validation_end(self, _trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Ask, if it is this validation's turn."""
        done, settings = pl_module.batches.epoch + 1, pl_module.settings
        if done % (self.every * settings["validate_every"]) and done != settings["max_epochs"]:
            return
        now = pl_module.evaluated
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            copy = Potential.from_config({**now.config, "dtype": "float64"})
            copy.load_state_dict(now.state_dict())
            self.recorder.extra |= self.watch(copy.to(now.e0.device))
