"""Graphs on disk: one safetensors file per (dataset fingerprint, cutoff), shared by every process that wants it.

Its arrays are memory-mapped: the processes of a machine share the pages, and those that are not needed take no memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from ase import Atoms
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch_geometric.data import Data

from scalarfid.data.cache import locked, replacing
from scalarfid.data.graphs import build_graph
from scalarfid.files import usual_mode
from scalarfid.log import log, progress

VERSION = 1
PER_ATOM = ("pos", "z", "forces")
PER_EDGE = ("unit_shifts",)
PER_FRAME = ("cell", "pbc", "energy", "stress", "has_energy", "has_forces", "has_stress", "frame")


def cached_graphs(
    splits: Mapping[str, Sequence[Atoms]], cutoff: float, fingerprint: str, folder: Path
) -> dict[str, list[Data]]:
    """Graphs of every split, read from the cache or built and stored; the first process builds, the others wait.

    Args:
        splits: frames by split.
        cutoff: r_c in Å.
        fingerprint: of the frames and their split.
        folder: the cache folder.
    """
    path = folder / "graphs" / f"{fingerprint[:24]}-rc{cutoff:g}-v{VERSION}.safetensors"
    arrays = _read(path)
    if arrays is None:
        with locked(path):
            arrays = _read(path) or _build([atoms for frames in splits.values() for atoms in frames], cutoff, path)
    graphs = iter(unpack(arrays))
    return {split: [next(graphs) for _ in frames] for split, frames in splits.items()}


def _build(frames: Sequence[Atoms], cutoff: float, path: Path) -> dict[str, Tensor]:
    arrays = pack([build_graph(atoms, cutoff) for atoms in progress(frames, "building graphs")])
    with replacing(path) as temporary:
        try:
            with usual_mode(temporary):
                save_file(arrays, temporary, metadata={"sha256": _checksum(arrays)})
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error
    return arrays


def _checksum(arrays: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode())
        total.update(arrays[name].contiguous().numpy().data)
    return total.hexdigest()


def _read(path: Path) -> dict[str, Tensor] | None:
    """Arrays of a cache file, None when there is none or when it is damaged (then it is built again)."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            expected = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError) as error:
        log.warning("graph cache %s is damaged (%s); building it again", path, error)
        return None
    if _checksum(arrays) != expected:
        log.warning("graph cache %s is damaged (checksum); building it again", path)
        return None
    return arrays


def pack(graphs: Sequence[Data]) -> dict[str, Tensor]:
    """Concatenated arrays of the graphs with the offsets ``atoms`` [G+1] and ``edges`` [G+1]."""
    arrays = {name: torch.cat([graph[name] for graph in graphs]) for name in PER_ATOM + PER_EDGE + PER_FRAME}
    arrays["edge_index"] = torch.cat([graph.edge_index for graph in graphs], dim=1)
    arrays["atoms"] = torch.tensor([0] + [graph.num_nodes for graph in graphs]).cumsum(0)
    arrays["edges"] = torch.tensor([0] + [graph.num_edges for graph in graphs]).cumsum(0)
    return {name: array.contiguous() for name, array in arrays.items()}


def unpack(arrays: Mapping[str, Tensor]) -> list[Data]:
    """The graphs that ``pack`` was given, as views of the arrays."""
    atoms, edges = arrays["atoms"].tolist(), arrays["edges"].tolist()
    graphs = []
    for k in range(len(atoms) - 1):
        of_atoms, of_edges = slice(atoms[k], atoms[k + 1]), slice(edges[k], edges[k + 1])
        fields = {name: arrays[name][of_atoms] for name in PER_ATOM}
        fields |= {name: arrays[name][of_edges] for name in PER_EDGE}
        fields |= {name: arrays[name][k : k + 1] for name in PER_FRAME}
        graphs.append(Data(edge_index=arrays["edge_index"][:, of_edges], **fields))
    return graphs
