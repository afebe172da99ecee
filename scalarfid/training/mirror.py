"""Weights & Biases beside the files: the same rows, under one run id however often the run is resumed."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytorch_lightning as pl

from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.training.directory import RunDirectory
from scalarfid.training.module import Fitting
from scalarfid.training.recorder import Recorder

ID_FILE = "wandb_id"


class Mirror(pl.Callback):
    """Logs every row of ``metrics.csv`` and, at the end, the summary.

    Args:
        directory: of the run; keeps the run id beside the checkpoints.
        config: of the run.
        recorder: whose rows are sent; it must come earlier in the list of callbacks.

    Raises:
        ScalarFidError: if wandb is not installed or does not let us in.
    """

    def __init__(self, directory: RunDirectory, config: Mapping[str, Any], recorder: Recorder) -> None:
        self.recorder = recorder
        options, wandb = config["logger"], _wandb()
        try:
            self.run = wandb.init(
                project=options["project"],
                entity=options["entity"],
                group=options["group"],
                tags=list(options["tags"]),
                name=directory.path.name,
                id=run_id(directory),
                resume="allow",
                mode="offline" if options["offline"] else "online",
                dir=str(directory.path),
                config=dict(config),
                settings=wandb.Settings(silent=True),
            )
        except wandb.errors.Error as error:
            raise ScalarFidError(
                f"Weights & Biases: {str(error).splitlines()[0]}; `wandb login`, or logger.offline=true."
            ) from error

    def on_train_epoch_end(self, _trainer: pl.Trainer, pl_module: Fitting) -> None:
        """Send the epoch's row; rows of a replay, already sent, are passed over by their step."""
        self.run.log(self.recorder.row, step=pl_module.step)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Send the errors of the summary, if there is one, and finish."""
        for split, errors in ((summary or {}).get("metrics") or {}).items():
            self.run.summary.update({f"{split}/{name}": value for name, value in errors.items()})
        self.run.finish()


def run_id(directory: RunDirectory) -> str:
    """Return the id of the run's first start."""
    file = directory.checkpoints / ID_FILE
    if not file.is_file():
        write_text(file, secrets.token_hex(8))
    return file.read_text().strip()


def _wandb() -> ModuleType:
    try:
        return importlib.import_module("wandb")
    except ModuleNotFoundError:
        raise ScalarFidError("logger=wandb needs wandb; pip install 'scalarfid[wandb]', or logger=csv.") from None
