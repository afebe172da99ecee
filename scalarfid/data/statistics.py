"""Numbers a model and a listing need to know about a dataset, from its training split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from ase.data import covalent_radii
from torch import Tensor
from torch_geometric.data import Data

from scalarfid.data.coordination import bond_weights, coordination_numbers, polynomial_cutoff
from scalarfid.errors import ScalarFidError
from scalarfid.log import log


@dataclass(frozen=True)
class Statistics:
    """Of the training split, unless it says otherwise; energies in eV, lengths in Å.

    Attributes:
        rms_force: root mean square force component in eV/Å, the energy scale s; 1 when there are no forces.
        mean_neighbours: edges per atom within the cutoff.
        mean_coordination: ⟨c⟩ by atomic number, at least 1.
        energy_per_atom_mean: mean of (E − Σ E0)/N in eV.
        energy_per_atom_std: its standard deviation.
        max_force: largest force on an atom in eV/Å.
        rms_stress: root mean square stress component in eV/Å³, None without stresses.
        min_distance: shortest edge in Å.
        n_frames: frames by split.
        n_atoms: fewest and most atoms of a frame, over all splits.
        n_labels: labelled frames by split and label.
    """

    rms_force: float
    mean_neighbours: float
    mean_coordination: dict[int, float]
    energy_per_atom_mean: float | None
    energy_per_atom_std: float | None
    max_force: float | None
    rms_stress: float | None
    min_distance: float
    n_frames: dict[str, int]
    n_atoms: tuple[int, int]
    n_labels: dict[str, dict[str, int]]


def edge_lengths(graph: Data) -> Tensor:
    """|pos[e₁] − pos[e₀] + S·cell| [E] in Å."""
    start, end = graph.edge_index
    return (graph.pos[end] - graph.pos[start] + graph.unit_shifts @ graph.cell[0]).norm(dim=1)


def atomic_coordination(graph: Data, cutoff: float, switch: str = "covalent") -> Tensor:
    """c_i = Σ_j S(r_ij) [N] of a graph's atoms (METHODS, Coordination), float64.

    Args:
        graph: with all edges up to the cutoff.
        cutoff: r_c in Å.
        switch: ``covalent`` or ``cutoff`` (f_c counts every neighbour).
    """
    if switch not in ("covalent", "cutoff"):
        raise ScalarFidError(f"coordination switch {switch!r} is not a choice; take covalent or cutoff")
    r, (centre, neighbour) = edge_lengths(graph), graph.edge_index
    if switch == "cutoff":
        weights = polynomial_cutoff(r / cutoff)
    else:
        radii = torch.from_numpy(covalent_radii)[graph.z]
        weights = bond_weights(r, radii[centre] + radii[neighbour], cutoff)
    return coordination_numbers(weights, centre, graph.num_nodes)


def mean_coordination(
    graphs: Sequence[Data], elements: Sequence[int], cutoff: float, switch: str = "covalent"
) -> dict[int, float]:
    """⟨c⟩ by atomic number, floor 1, 1 for an element that is not there.

    Args:
        graphs: graphs of the training split.
        elements: atomic numbers wanted.
        cutoff: r_c in Å the graphs were built with.
        switch: of :func:`atomic_coordination`.
    """
    c = torch.cat([atomic_coordination(graph, cutoff, switch) for graph in graphs])
    z = torch.cat([graph.z for graph in graphs])
    return {e: max(float(c[z == e].mean()), 1.0) if bool((z == e).any()) else 1.0 for e in elements}


def _labelled(graphs: Sequence[Data], name: str) -> Tensor | None:
    values = [graph[name] for graph in graphs if graph[f"has_{name}"]]
    return torch.cat(values) if values else None


def _interaction_per_atom(graphs: Sequence[Data], e0: Mapping[int, float]) -> Tensor | None:
    values = [
        (graph.energy - sum(e0[int(z)] for z in graph.z)) / graph.num_nodes for graph in graphs if graph.has_energy
    ]
    return torch.cat(values) if values else None


def statistics_of(
    splits: Mapping[str, Sequence[Data]], e0: Mapping[int, float], cutoff: float, switch: str = "covalent"
) -> Statistics:
    """Statistics of graphs by split; ``splits["train"]`` gives all but the counts.

    Raises:
        ScalarFidError: no training atom has a neighbour within the cutoff.
    """
    train = splits["train"]
    atoms = sum(graph.num_nodes for graph in train)
    edges = sum(graph.num_edges for graph in train)
    if edges == 0:
        raise ScalarFidError(f"no training atom has a neighbour within model.cutoff={cutoff} Å; raise it")
    forces, stress, energy = _labelled(train, "forces"), _labelled(train, "stress"), _interaction_per_atom(train, e0)
    rms_force = float(forces.square().mean().sqrt()) if forces is not None else 1.0
    if forces is None or rms_force == 0:
        log.warning("no non-zero training forces: the energy scale is set to 1 eV/Å")
    everything = [graph for graphs in splits.values() for graph in graphs]
    sizes = [graph.num_nodes for graph in everything]
    names = ("energy", "forces", "stress")
    return Statistics(
        rms_force=rms_force or 1.0,
        mean_neighbours=edges / atoms,
        mean_coordination=mean_coordination(train, sorted(e0), cutoff, switch),
        energy_per_atom_mean=None if energy is None else float(energy.mean()),
        energy_per_atom_std=None if energy is None else float(energy.std(correction=0)),
        max_force=None if forces is None else float(forces.norm(dim=1).max()),
        rms_stress=None if stress is None else float(stress.square().mean().sqrt()),
        min_distance=min(float(edge_lengths(graph).min()) for graph in train if graph.num_edges),
        n_frames={split: len(graphs) for split, graphs in splits.items()},
        n_atoms=(min(sizes), max(sizes)),
        n_labels={s: {n: sum(bool(g[f"has_{n}"]) for g in graphs) for n in names} for s, graphs in splits.items()},
    )
