"""The LightningModule: one step, one validation, the optimiser, the average, and where in the run it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch_geometric.data import Batch

from scalarfid.errors import ScalarFidError
from scalarfid.potential import Potential, faster
from scalarfid.training.averaging import Average
from scalarfid.training.batches import EpochBatches
from scalarfid.training.loss import Settings, penalties, total_loss, weighted, weights
from scalarfid.training.metrics import Errors, residuals
from scalarfid.training.schedule import Patience, factor, peak_rates


@dataclass
class Best:
    """The best validation so far: its loss, its epoch, and the losses and rates that follow from it."""

    loss: float = float("inf")
    epoch: int = -1


class Fitting(pl.LightningModule):
    """Fits a potential.

    Args:
        potential: moved and trained in place.
        settings: the ``training`` group as plain Python.
        batches: order of the training frames; holds the place in the epoch.
        labels: labels that the training frames have.
        compiles: whether training steps are compiled; validations are not.

    Attributes:
        step: batches trained on so far, over the whole run.
        average: exponential moving average of the potential, None if switched off.
        plateau, stopping: patience of the learning rate and of the run, counted in validations.
        best: of the current stage.
        columns: of the epoch in progress, for ``metrics.csv``.
    """

    def __init__(
        self,
        potential: Potential,
        settings: Settings,
        batches: EpochBatches,
        labels: Collection[str],
        *,
        compiles: bool = False,
    ) -> None:
        super().__init__()
        self.potential = potential
        self.trained = faster(potential, batches.counts(settings["max_epochs"])) if compiles else potential.forward
        self.settings = settings
        self.batches = batches
        self.labels = frozenset(labels)
        decay = settings["ema_decay"]
        self.average = None if decay is None else Average(potential, decay)
        self.sums = Errors(labels)
        self.val_sums = Errors(labels)
        self.plateau, self.stopping, self.best = Patience(), Patience(), Best()
        self.step = 0
        self.stopped = False

    @property
    def evaluated(self) -> Potential:
        """The potential that validation, ``best.ckpt`` and the exported model use: the average if there is one."""
        return self.potential if self.average is None else self.average.module

    @property
    def total_steps(self) -> int:
        """Batches of the whole run."""
        return self.settings["max_epochs"] * self.batches.per_epoch

    def weights(self) -> dict[str, float]:
        """Normalised weights of the epoch in progress."""
        return weights(self.settings, self.batches.epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, or Adam with amsgrad; a group for the backbone and one for the probe."""
        groups = [
            {"params": [p for _, p in self.potential.named_backbone_parameters() if p.requires_grad]},
            {"params": [p for _, p in self.potential.named_probe_parameters() if p.requires_grad]},
        ]
        options = {"lr": self.settings["lr"], "weight_decay": self.settings["weight_decay"], "fused": True}
        if self.settings["optimizer"] == "adamw":
            return torch.optim.AdamW(groups, **options)
        return torch.optim.Adam(groups, amsgrad=True, **options)

    def rates(self) -> dict[str, float]:
        """Learning rates of the next step."""
        scale = factor(self.settings, self.step, self.total_steps)
        if self.settings["schedule"] == "plateau":
            reduced = self.settings["plateau"]["factor"] ** self.plateau.spent
            scale *= max(reduced, self.settings["min_lr_ratio"])
        return {name: rate * scale for name, rate in peak_rates(self.settings, self.batches.epoch).items()}

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of a batch; its errors are added up for the epoch."""
        weighting = self.weights()
        out = self.trained(batch, stress=weighting["stress"] > 0, create_graph=True)
        deltas = residuals(out, batch)
        elements = penalties(deltas, self.settings)
        loss = total_loss(elements, weighting)
        if not bool(torch.isfinite(loss)):
            raise ScalarFidError(
                f"The loss is {loss.item()} in epoch {self.batches.epoch}, batch {self.batches.batch}; "
                f"lower training.lr (now {self.settings['lr']:g}) or training.clip."
            )
        self.sums.update(deltas, elements)
        return loss

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Set the rates, step, and average."""
        for group, rate in zip(optimizer.param_groups, self.rates().values(), strict=True):
            group["lr"] = rate
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.average is not None:
            self.average.update_parameters(self.potential)
        self.step += 1
        self.batches.batch += 1

    def on_validation_epoch_start(self) -> None:
        """Start the sums of a validation."""
        self.val_sums.reset()

    def validation_step(self, batch: Batch) -> None:
        """Errors of the average on a batch."""
        deltas = residuals(self.evaluated(batch, stress="stress" in self.labels), batch)
        self.val_sums.update(deltas, penalties(deltas, self.settings))

    def train_columns(self) -> dict[str, float]:
        """Rates, losses and errors of the epoch's training batches, as they were when each was trained on."""
        rates, weighting = self.rates(), self.weights()
        columns = {"lr": rates["backbone"], "lr_probe": rates["probe"]}
        found = weighted(self.sums.losses(), weighting) | self.sums.metrics()
        return columns | {f"train/{name}": value for name, value in found.items()}

    def val_columns(self) -> dict[str, float]:
        """Losses and errors of the validation."""
        found = weighted(self.val_sums.losses(), self.weights()) | self.val_sums.metrics()
        return {f"val/{name}": value for name, value in found.items()}

    def close_epoch(self, val_loss: float | None) -> bool:
        """Draw the consequences of an epoch and go to the next; true if its validation is the best of the stage.

        At the first validation of the second stage, whose loss is another one, the best and the patience start anew.
        """
        epoch = self.batches.epoch
        better = False
        if val_loss is not None:
            if weights(self.settings, max(self.best.epoch, 0)) != self.weights():
                self.best, self.plateau.best, self.stopping = Best(), float("inf"), Patience()
            better = val_loss < self.best.loss
            self.best = Best(val_loss, epoch) if better else self.best
            self.plateau.update(val_loss, self.settings["plateau"]["patience"])
            limit = self.settings["early_stopping"]
            self.stopped = limit is not None and self.stopping.update(val_loss, limit - 1)
        self.batches.load_state_dict({"epoch": epoch + 1, "batch": 0})
        self.sums.reset()
        return better

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.stopped or self.batches.epoch >= self.settings["max_epochs"]
