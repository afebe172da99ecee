"""Count the floating-point operations of anything torch runs, derivatives included.

Matmul-type operations count as torch's own ``flop_registry`` has them (two per multiply–add); every other operation
counts one per element of its outputs. Views and copies of metadata cost nothing. Both parts are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "lift_fresh"}
_FREE |= {"_unsafe_view", "_reshape_alias"}


@dataclass(frozen=True)
class Flops:
    """Operations of one call.

    Attributes:
        matmul: in matmul-type operations.
        elementwise: one per output element of every other operation.
    """

    matmul: int
    elementwise: int

    @property
    def total(self) -> int:
        """Both parts together."""
        return self.matmul + self.elementwise


class _Counter(TorchDispatchMode):
    """Sees every operation after autograd has taken them apart, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.matmul = 0
        self.elementwise = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func.overloadpacket
        if packet in flop_registry:
            self.matmul += int(flop_registry[packet](*args, **kwargs, out_val=out))
        elif not func.is_view and packet.__name__ not in _FREE:
            self.elementwise += sum(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))
        return out


def count_flops(function: Callable[[], Any]) -> Flops:
    """Run ``function`` once and count what it does.

    Operations inside compiled code are not seen: count an eager model.
    """
    with _Counter() as counter:
        function()
    return Flops(counter.matmul, counter.elementwise)
