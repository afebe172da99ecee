"""Which frames make which batch: a pure function of (seed, epoch), and a place in it that can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from scalarfid.seeds import derive_seed


class EpochBatches(Sampler[list[int]]):
    """Batches of frame numbers of one epoch after another, from a generator of their own.

    Args:
        frames: number of training frames.
        batch_size: frames in a batch; the last batch of an epoch may have fewer.
        seed: of the run; the order also depends on the role ``data`` and the epoch, and on nothing else.

    Attributes:
        epoch: in progress.
        batch: batches of it that are done; whoever trains counts them, since loaders read ahead.
    """

    def __init__(self, frames: int, batch_size: int, seed: int) -> None:
        self.frames, self.batch_size, self.seed = frames, batch_size, seed
        self.epoch = 0
        self.batch = 0
        self._start = 0

    @property
    def per_epoch(self) -> int:
        """Batches of a whole epoch."""
        return -(-self.frames // self.batch_size)

    def order(self, epoch: int) -> list[int]:
        """Frame numbers of an epoch in the order they are trained on."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, f"data/{epoch}"))
        return torch.randperm(self.frames, generator=generator).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch)
        for k in range(self._start, self.per_epoch):
            yield order[k * self.batch_size : (k + 1) * self.batch_size]

    def __len__(self) -> int:
        return self.per_epoch - self._start

    @property
    def remaining(self) -> int:
        """Batches of the epoch that are not done."""
        return self.per_epoch - self.batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and the batches of it that are done."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue with the batch after those that were done."""
        self.epoch = state["epoch"]
        self.batch = self._start = state["batch"]


def loader(graphs: Sequence[Data], batches: Sampler[list[int]] | None, *, batch_size: int, workers: int) -> DataLoader:
    """Load batches of graphs; in order where ``batches`` is None. Draws nothing from the process's own generator."""
    quiet = torch.Generator().manual_seed(0)
    if batches is None:
        return DataLoader(list(graphs), batch_size=batch_size, num_workers=workers, generator=quiet)
    return DataLoader(list(graphs), batch_sampler=batches, num_workers=workers, generator=quiet)
