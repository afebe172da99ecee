"""Learning rate and patience. The rate is a function of the step, so a resumed run needs no scheduler's memory."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from scalarfid.training.loss import Settings, in_stage_two


def factor(settings: Settings, step: int, total: int) -> float:
    """Learning rate at a step as a fraction of its peak: linear warm-up, then constant or cosine.

    f(t) = ρ + (1 − ρ)·½(1 + cos πt), t from 0 after the warm-up to 1 at the last step, ρ = ``min_lr_ratio``. Plateau
    multiplies a constant (:meth:`Patience.update` decides when).

    Args:
        settings: the ``training`` group.
        step: batches done before this one.
        total: batches of the whole run.
    """
    warmup = settings["warmup_steps"]
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings["schedule"] != "cosine":
        return 1.0
    t = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
    floor = settings["min_lr_ratio"]
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * t))


def peak_rates(settings: Settings, epoch: int) -> dict[str, float]:
    """Peak learning rate of backbone and probe at an epoch; the second stage scales both alike."""
    backbone = settings["lr"]
    probe = backbone if settings["probe_lr"] is None else settings["probe_lr"]
    later = settings["stage_two"]["lr"] if in_stage_two(settings, epoch) else None
    scale = 1.0 if later is None else later / backbone
    return {"backbone": backbone * scale, "probe": probe * scale}


@dataclass
class Patience:
    """Counts validations without a better value.

    Attributes:
        best: lowest value so far.
        bad: validations since then, or since patience last ran out.
        spent: how often it ran out.
    """

    best: float = math.inf
    bad: int = 0
    spent: int = 0

    def update(self, value: float, limit: int) -> bool:
        """Take a value; true if more than ``limit`` in a row were no better."""
        self.bad = 0 if value < self.best else self.bad + 1
        self.best = min(self.best, value)
        if self.bad <= limit:
            return False
        self.bad = 0
        self.spent += 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers for a checkpoint."""
        return asdict(self)
