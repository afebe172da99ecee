"""Frames, labels and their checks, named sets, in-process reference potentials, statistics and graphs.

``load`` gives a ``Dataset`` from a config, ``build_graph`` one graph from ``ase.Atoms``; ``python -m scalarfid.data``
lists the sets. Names are imported when first used, so that reading a config does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "BATCH_EDGES": "graphs",
    "Dataset": "loading",
    "DatasetConfig": "config",
    "Statistics": "statistics",
    "VerletList": "verlet",
    "atomic_coordination": "statistics",
    "build_graph": "graphs",
    "by_edges": "graphs",
    "check_weights": "loading",
    "edge_lengths": "statistics",
    "joined": "graphs",
    "load": "loading",
    "named": "config",
    "read_frames": "reading",
}
__all__ = [
    "BATCH_EDGES",
    "Dataset",
    "DatasetConfig",
    "Statistics",
    "VerletList",
    "atomic_coordination",
    "build_graph",
    "by_edges",
    "check_weights",
    "edge_lengths",
    "joined",
    "load",
    "named",
    "read_frames",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
