"""Frames to graphs: one neighbour list for all backbones, vec = pos[e₁] − pos[e₀] + S·cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from ase import Atoms
from ase.geometry import complete_cell
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray
from torch_geometric.data import Batch, Data

from scalarfid.data.labels import labels_of
from scalarfid.errors import ScalarFidError

CLOSEST = 0.05  # Å; nearer than this two atoms are one atom written twice
BATCH_EDGES = 4000
"""Edges of a batch where nobody says how many: about what the caches of a processor hold."""
Pairs = tuple[NDArray[np.int64], NDArray[np.float64]]
"""edge_index [2,E] and unit_shifts [E,3]."""


def neighbours(
    positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> Pairs:
    """All pairs within the cutoff, in both directions, with every periodic image (an atom may see its own).

    Args:
        positions: [N,3] in Å, anywhere (no need to be inside the cell).
        cell: [3,3] in Å; rows of axes that are not periodic are ignored and may be zero.
        pbc: [3] which axes are periodic.
        cutoff: r_c in Å.

    Returns:
        edge_index [2,E] and unit_shifts [E,3], whole numbers that are zero along axes that are not periodic.
    """
    work = np.where(pbc[:, None], cell, 0.0)
    if pbc.any() and np.linalg.matrix_rank(work[pbc]) < pbc.sum():
        raise ScalarFidError(f"the periodic cell {cell.tolist()} has no volume; check the lattice or set pbc to false")
    box = complete_cell(work)
    fractional = positions @ np.linalg.inv(box)
    low, high = fractional.min(0), fractional.max(0)
    inside = (fractional - np.where(pbc, 0.0, low)) @ box
    # matscipy needs a cell with volume: along open axes, one that holds the atoms with room to spare.
    box = np.where(pbc[:, None], box, box * (high - low + 2 * cutoff + 1)[:, None])
    i, j, S = neighbour_list("ijS", positions=inside, cell=box, pbc=pbc, cutoff=cutoff)
    return np.stack([i, j]).astype(np.int64), S.astype(np.float64)


def distances(positions: NDArray[np.float64], cell: NDArray[np.float64], pairs: Pairs) -> NDArray[np.float64]:
    """Lengths [E] of edges in Å, for positions [N,3] and a cell [3,3]."""
    (first, second), shifts = pairs
    return np.linalg.norm(positions[second] - positions[first] + shifts @ cell, axis=1)


def build_graph(atoms: Atoms, cutoff: float, *, labels: bool = True, search: Callable[..., Pairs] = neighbours) -> Data:
    """The graph of one frame, with labels and masks where it has them; all float64, int64 and bool.

    Args:
        atoms: a frame; labels under ``REF_*`` or held by its calculator, in eV and Å.
        cutoff: r_c in Å.
        labels: whether there are fields for labels.
        search: gives the pairs, as :func:`neighbours` does.

    Returns:
        Data with pos [N,3], z [N], cell [1,3,3] (zeros unless an axis is periodic), pbc [1,3], edge_index [2,E],
        unit_shifts [E,3], energy [1], forces [N,3], stress [1,3,3], has_energy/has_forces/has_stress [1], frame [1].

    Raises:
        ScalarFidError: no atoms, positions or a cell that are not finite, a cell without volume, two atoms at one
            place, or a cutoff that is not positive.
    """
    cell = np.asarray(atoms.cell[:]) if atoms.pbc.any() else np.zeros((3, 3))
    _check(atoms, cell, cutoff)
    edge_index, shifts = search(atoms.positions, cell, atoms.pbc, cutoff)
    lengths = distances(atoms.positions, cell, (edge_index, shifts))
    if lengths.size and lengths.min() < CLOSEST:
        i, j = edge_index[:, lengths.argmin()]
        raise ScalarFidError(
            f"frame {atoms.info.get('frame', 0)}: atoms {i} and {j} are {lengths.min():.3g} Å apart; "
            "remove the frame or the atom"
        )
    return Data(
        pos=torch.tensor(atoms.positions, dtype=torch.float64),
        z=torch.tensor(atoms.numbers, dtype=torch.int64),
        cell=torch.tensor(cell, dtype=torch.float64)[None],
        pbc=torch.tensor(atoms.pbc)[None],
        edge_index=torch.from_numpy(edge_index),
        unit_shifts=torch.from_numpy(shifts),
        frame=torch.tensor([int(atoms.info.get("frame", 0))]),
        **(_label_fields(atoms) if labels else {}),
    )


def _check(atoms: Atoms, cell: NDArray[np.float64], cutoff: float) -> None:
    """Refuse what has no neighbours to look for; NaN would quietly have none."""
    if not 0 < cutoff < np.inf:
        raise ScalarFidError(f"cutoff={cutoff} is no distance; it must be positive and finite, in Å")
    frame = f"frame {atoms.info.get('frame', 0)}"
    if not len(atoms):
        raise ScalarFidError(f"{frame} has no atoms; give one or more")
    for name, values in (("positions", atoms.positions), ("cell", cell)):
        if not np.isfinite(values).all():
            raise ScalarFidError(f"{frame}: {name} with NaN or infinity; check where they come from")


def _label_fields(atoms: Atoms) -> dict[str, torch.Tensor]:
    labels = labels_of(atoms)
    shapes = {"energy": (1,), "forces": (len(atoms), 3), "stress": (1, 3, 3)}
    fields = {}
    for name, shape in shapes.items():
        value = getattr(labels, name)
        array = np.zeros(shape) if value is None else np.asarray(value, dtype=float).reshape(shape)
        fields[name] = torch.tensor(array, dtype=torch.float64)
        fields[f"has_{name}"] = torch.tensor([value is not None])
    return fields


def joined(graphs: Sequence[Data]) -> Batch:
    """One graph of several, without edges between them: tensor by tensor what ``Batch.from_data_list`` gives, faster.

    It cannot be taken apart again.
    """
    atoms = torch.tensor([graph.num_nodes for graph in graphs])
    edges = torch.tensor([graph.num_edges for graph in graphs])
    ptr = torch.cat([atoms.new_zeros(1), atoms.cumsum(0)])
    keys, along = graphs[0].keys(), {"edge_index": -1}
    fields = {key: torch.cat([graph[key] for graph in graphs], along.get(key, 0)) for key in keys}
    fields["edge_index"] += ptr[:-1].repeat_interleave(edges)
    return Batch(batch=torch.arange(len(graphs)).repeat_interleave(atoms), ptr=ptr, **fields)


def by_edges(graphs: Iterable[Data], limit: int) -> Iterator[list[Data]]:
    """Split graphs, in order, into groups of at most ``limit`` edges; a graph that has more is a group of its own.

    A batch costs what its edges cost, so such batches keep time and memory flat where frames differ in size.
    """
    group: list[Data] = []
    edges = 0
    for graph in graphs:
        if group and edges + graph.num_edges > limit:
            yield group
            group, edges = [], 0
        group.append(graph)
        edges += graph.num_edges
    if group:
        yield group
