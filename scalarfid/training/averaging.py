"""Exponential moving average of the weights, by torch's ``AveragedModel``.

pytorch_lightning's ``EMAWeightAveraging`` is not used. It keeps its state inside Lightning's own checkpoints and counts
on Lightning's step number, while a run here is restored from (epoch, batch) in a checkpoint of tensors only; it swaps
weights in place for a validation, so that an exception in between would leave the average where the weights should be;
and it has no warm-up: with the published 0.99999, four fifths of the initial weights would still be in the average
after 23 000 steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Copy of the model whose parameters follow p̄ ← d p̄ + (1 − d) p, d = min(decay, (1 + n)/(10 + n)).

    n is the number of updates; the warm-up is that of torch_ema, which MACE trains with. The copy takes no gradients.
    """

    def blend(mean: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
        n = int(num_averaged)
        d = min(decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(mean, current, 1 - d)

    copy = AveragedModel(model, multi_avg_fn=torch.no_grad()(blend))
    copy.requires_grad_(False)
    return copy
