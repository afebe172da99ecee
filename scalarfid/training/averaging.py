"""Exponential moving average of the weights, by torch's ``AveragedModel``.

pytorch_lightning's ``EMAWeightAveraging`` is not used. It keeps its state inside Lightning's own checkpoints and counts
on Lightning's step number, while a run here is restored from (epoch, batch) in a checkpoint of tensors only; it swaps
weights in place for a validation, so that an exception in between would leave the average where the weights should be;
and it has no warm-up: with the published 0.99999, four fifths of the initial weights would still be in the average
after 23 000 steps.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class Average(AveragedModel):
    """Copy of a model whose parameters follow p̄ ← d p̄ + (1 − d) p, d = min(decay, (1 + n)/(10 + n)).

    n is the number of updates, this one included, and p̄ starts as p: that is the average of torch_ema, with which MACE
    trains, and nequip's own. The copy takes no gradients. Buffers are constants here: they are copied once, and
    parameters are looked up once, which an update of torch's own does at every step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        _unregister_constants(self.module, model)
        self.requires_grad_(False)
        self.decay = decay
        self._pair = list(self.module.parameters()), list(model.parameters())

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:  # noqa: ARG002 - torch's signature; it is the model copied
        """Take the model's parameters into the average."""
        self.n_averaged += 1
        n = int(self.n_averaged)
        mean, current = self._pair
        torch._foreach_lerp_(mean, current, 1 - min(self.decay, (1 + n) / (10 + n)))


def _unregister_constants(copied: nn.Module, model: nn.Module) -> None:
    """Undo what copying does to modules of torch.fx: tensor constants become buffers, which files would hold."""
    known = {name for name, _ in model.named_buffers()}
    for prefix, module in copied.named_modules():
        for name in [name for name in module._buffers if f"{prefix}.{name}".lstrip(".") not in known]:
            module.__dict__[name] = module._buffers.pop(name)
