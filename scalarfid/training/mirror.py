"""Weights & Biases beside the files: the same rows, under one run id however often the run is resumed."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytorch_lightning as pl

from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.training.directory import RunDirectory
from scalarfid.training.module import Fitting
from scalarfid.training.recorder import Recorder

ID_FILE = "wandb_id"
STAGE = "train"
"""Job type of these runs."""
NOT_IN_SUMMARY = ("config", "history")
"""Parts of ``summary.json`` that Weights & Biases has already, as configuration and rows."""


class Mirror(pl.Callback):
    """Logs every row of ``metrics.csv`` and, at the end, the summary.

    The group is the experiment, the job type the stage; the tags are backbone, probe, dataset and the user's.

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
                job_type=STAGE,
                tags=tags(config),
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
        """Send the epoch's row; rows of a replay, already sent, are passed over by their step.

        At once: a row that waits for the next is sent after the summary, and its errors replace the best model's.
        """
        self.run.log(self.recorder.row, step=pl_module.step, commit=True)

    def close(self, summary: Mapping[str, Any] | None) -> None:
        """Send the summary, if there is one, and finish."""
        if summary is not None:
            self.run.summary.update(flat_summary(summary))
        self.run.finish()


def tags(config: Mapping[str, Any]) -> list[str]:
    """Backbone, probe, dataset (and its molecule), and the user's own, each once."""
    data = config["dataset"]
    names = [config["backbone"]["name"], config["probe"]["name"], data["name"], data["molecule"]]
    return list(dict.fromkeys(filter(None, [*names, *config["logger"]["tags"]])))


def flat_summary(summary: Mapping[str, Any]) -> dict[str, Any]:
    """``summary.json`` as one level of names, without what is in ``NOT_IN_SUMMARY``.

    Errors stand under the names of the rows (``test/forces_mae``), bins under
    ``binned/test/nearest_neighbour/2_8/forces_mae``: a dot in a name is a level to Weights & Biases.
    """
    kept = {key: value for key, value in summary.items() if key not in (*NOT_IN_SUMMARY, "metrics")}
    return {name.replace(".", "_"): value for part in (summary["metrics"], kept) for name, value in _leaves(part)}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names, joined by slashes, and values that are not mappings; rows of bins are named by their bin."""
    if isinstance(value, list):
        value = {str(row["bin"]): {k: v for k, v in row.items() if k != "bin"} for row in value}
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{name}/{key}" if name else str(key))


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
