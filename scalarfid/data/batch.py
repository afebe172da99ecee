"""One frame's graph, and several joined to one: named tensors, nothing else.

torch_geometric has the same idea with far more in it; importing it takes two seconds of every command, and joining five
molecules five times as long as here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Graph:
    """Named tensors of a frame: what :func:`scalarfid.data.build_graph` lists, as attributes and by ``graph[name]``."""

    def __init__(self, **tensors: Tensor) -> None:
        self.__dict__.update(tensors)

    def __getattr__(self, name: str) -> Tensor:
        raise AttributeError(f"no {name!r} in this graph; it has {', '.join(self.__dict__)}")

    def __getitem__(self, name: str) -> Tensor:
        return self.__dict__[name]

    def __repr__(self) -> str:
        shapes = (f"{name}={list(tensor.shape)}" for name, tensor in self.__dict__.items())
        return f"{type(self).__name__}({', '.join(shapes)})"

    @property
    def num_nodes(self) -> int:
        """N, atoms."""
        return self.z.shape[0]

    @property
    def num_edges(self) -> int:
        """E, directed edges."""
        return self.edge_index.shape[1]

    def clone(self) -> Any:
        """Return the same graph with tensors of its own."""
        return type(self)(**{name: tensor.clone() for name, tensor in self.__dict__.items()})

    def to(self, device: str | torch.device, *, non_blocking: bool = False) -> Any:
        """Return the same graph on a device, itself if it is there."""
        moved = {name: t.to(device, non_blocking=non_blocking) for name, t in self.__dict__.items()}
        return self if all(moved[name] is t for name, t in self.__dict__.items()) else type(self)(**moved)


class Batch(Graph):
    """Graphs joined along their first axis, with ``batch`` [N], the frame of each atom, and ``ptr`` [B+1]."""

    @classmethod
    def of(cls, graphs: Sequence[Graph]) -> Batch:
        """Join graphs that have the same tensors; atoms and edges keep their order."""
        sizes = torch.tensor([graph.num_nodes for graph in graphs])
        ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        names = [name for name in vars(graphs[0]) if name != "edge_index"]
        joined = {name: torch.cat([graph[name] for graph in graphs]) for name in names}
        if "edge_index" in vars(graphs[0]):
            starts = zip(graphs, ptr.tolist(), strict=False)
            joined["edge_index"] = torch.cat([graph.edge_index + start for graph, start in starts], dim=1)
        return cls(**joined, batch=torch.repeat_interleave(sizes), ptr=ptr)

    @property
    def num_graphs(self) -> int:
        """B, frames."""
        return self.ptr.shape[0] - 1
