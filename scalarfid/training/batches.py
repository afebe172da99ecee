"""Which frames make which batch: a pure function of (seed, epoch), and a place in it that can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from torch_geometric.data import Data

from scalarfid.data import by_edges, joined
from scalarfid.errors import ScalarFidError
from scalarfid.seeds import derive_seed


class EpochBatches(Sampler[list[int]]):
    """Batches of frame numbers of one epoch after another, from a generator of their own.

    Args:
        graphs: training frames.
        seed: of the run; the order also depends on the role ``data`` and the epoch, and on nothing else.
        batch_size: frames in a batch; the last batch of an epoch may have fewer.
        batch_edges: about so many edges in a batch instead: every epoch has as many batches, whose edges differ by less
            than those of the largest frame.

    Attributes:
        epoch: in progress.
        batch: batches of it that are done; whoever trains counts them, since loaders read ahead.

    Raises:
        ScalarFidError: ``batch_edges`` is less than a frame has.
    """

    def __init__(self, graphs: Sequence[Data], seed: int, batch_size: int, batch_edges: int | None = None) -> None:
        self.atoms = np.array([graph.num_nodes for graph in graphs])
        self.edges = np.array([graph.num_edges for graph in graphs])
        if batch_edges is not None and batch_edges < self.edges.max():
            most = f"one frame has {self.edges.max()} edges; give at least that"
            raise ScalarFidError(f"training.batch_edges={batch_edges}, but {most}.")
        self.frames, self.seed, self.batch_size, self.batch_edges = len(graphs), seed, batch_size, batch_edges
        self.epoch = 0
        self.batch = 0
        self._start = 0

    @property
    def per_epoch(self) -> int:
        """Batches of a whole epoch."""
        if self.batch_edges is None:
            return -(-self.frames // self.batch_size)
        return max(1, int(self.edges.sum()) // self.batch_edges)

    def order(self, epoch: int) -> list[int]:
        """Frame numbers of an epoch in the order they are trained on."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, f"data/{epoch}"))
        return torch.randperm(self.frames, generator=generator).tolist()

    def of_epoch(self, epoch: int) -> list[list[int]]:
        """All batches of an epoch."""
        order = self.order(epoch)
        ends = np.arange(self.batch_size, self.frames, self.batch_size)
        if self.batch_edges is not None:
            total = self.edges[order].cumsum()
            ends = np.searchsorted(total, total[-1] / self.per_epoch * np.arange(1, self.per_epoch)) + 1
        bounds = [0, *ends.tolist(), self.frames]
        return [order[begin:end] for begin, end in pairwise(bounds)]

    def counts(self, epochs: int) -> Iterator[tuple[int, int, int]]:
        """Atoms, edges and frames of every batch of the first epochs."""
        for epoch in range(epochs):
            for batch in self.of_epoch(epoch):
                yield int(self.atoms[batch].sum()), int(self.edges[batch].sum()), len(batch)

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.of_epoch(self.epoch)[self._start :]

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


def in_order(graphs: Sequence[Data], batch_edges: int) -> list[list[int]]:
    """Frame numbers of batches of at most ``batch_edges`` edges, in order."""
    numbers = iter(range(len(graphs)))
    return [[next(numbers) for _ in group] for group in by_edges(graphs, batch_edges)]


def loader(graphs: Sequence[Data], batches: Sampler[list[int]] | list[list[int]], workers: int) -> DataLoader:
    """Load these batches of graphs. Draws nothing from the process's own generator."""
    quiet = torch.Generator().manual_seed(0)
    return DataLoader(list(graphs), batch_sampler=batches, num_workers=workers, generator=quiet, collate_fn=joined)
