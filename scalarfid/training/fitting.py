"""One fit with Lightning's trainer, from the first batch or from where a checkpoint stands."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.warnings import PossibleUserWarning

from scalarfid.data import Dataset
from scalarfid.training.batches import in_order, loader
from scalarfid.training.module import Fitting

LIGHTNING = ("pytorch_lightning", "lightning.pytorch")
"""Loggers; the second is in use once nequip has imported its own copy, for they share one channel."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on devices, tips, and few workers; loggers and filters are restored."""
    talkers = [logging.getLogger(name) for name in LIGHTNING]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)


def fit(
    module: Fitting,
    dataset: Dataset,
    callbacks: Sequence[pl.Callback],
    *,
    device: torch.device,
    workers: int,
    root: Any,
) -> None:
    """Train until the module says that it has finished; it knows the epoch and the batch to go on with.

    Args:
        module: with weights and counters as they shall be.
        dataset: training and validation frames.
        callbacks: of Lightning.
        device: one device.
        workers: processes that collate batches.
        root: Lightning's directory, where it writes nothing.
    """
    settings = module.settings
    train = loader(dataset.train, module.batches, workers)
    val = loader(dataset.val, in_order(dataset.val, settings["eval_batch_edges"]), workers)
    with _quiet():
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            plugins=[LightningEnvironment()],
            max_epochs=settings["max_epochs"],
            check_val_every_n_epoch=settings["validate_every"],
            gradient_clip_val=settings["clip"],
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,  # the first epoch after a resume has fewer batches
            inference_mode=False,  # forces are derivatives
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=root,
            callbacks=list(callbacks),
        )
        done = trainer.fit_loop.epoch_progress.current
        done.processed = done.completed = module.batches.epoch
        try:
            trainer.fit(module, train, val)
        except SystemExit as error:  # what Lightning makes of a second Ctrl-C
            raise KeyboardInterrupt from error
