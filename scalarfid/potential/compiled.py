"""A potential's energy and derivatives as one compiled graph, for training and calculators that ask for it.

Energy, forces and stress are traced together, through autograd, by torch's ``make_fx``: what remains are plain
operations, which torch.compile (Inductor) fuses, with their gradients in the parameters where these are wanted. A graph
is compiled for fixed sizes, so batches are padded to a few of them by atoms and edges that add nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch_geometric.data import Batch

from scalarfid.log import log
from scalarfid.potential.core import Potential

FIELDS = ("pos", "cell", "pbc", "edge_index", "unit_shifts", "batch", "ptr")
STEP = 1.25
"""A size is at most so many times what is in it, and a smaller batch takes a size that is at most twice as large."""
MOST = 6
"""Sizes that are compiled; batches that fit none are then computed as without compiling."""
TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
"""Largest relative difference from the potential itself, in any output of the first call at a size."""
Sizes = tuple[int, int, int]


class Compiled:
    """Computes what a potential does, faster from the second call at a size on.

    The first call at a size compiles (a minute or more, less when the caches of torch know the graph) and is compared
    with the potential itself, whose forces are its energy's derivatives. Where that fails it says so once, and the
    potential itself is used from then on.

    Args:
        potential: parameters may change afterwards, their shapes, device and precision may not.
    """

    def __init__(self, potential: Potential) -> None:
        self.potential = potential
        self.works = True
        self._functions: dict[tuple[Any, ...], Any] = {}

    def __call__(self, graph: Any, *, stress: bool = False, create_graph: bool = False) -> dict[str, Tensor]:
        """Same as :class:`Potential` for energy and forces."""
        batch = graph if isinstance(graph, Batch) else Batch.from_data_list([graph])
        counts = batch.num_nodes, batch.num_edges, batch.num_graphs
        sizes = self._sizes(counts, (stress, create_graph)) if self.works else None
        if sizes is None:
            return self.potential(batch, stress=stress, create_graph=create_graph)
        species = self.potential.species(batch.z)
        tensors = padded(batch, species, sizes, 1.5 * self.potential.cutoff)
        key = (sizes, stress, create_graph)
        if key not in self._functions and not self._prepare(key, tensors, batch):
            return self(batch, stress=stress, create_graph=create_graph)
        return self._unpadded(self._functions[key](tensors, list(self.potential.parameters())), counts, create_graph)

    @staticmethod
    def _unpadded(found: Mapping[str, Tensor], counts: Sizes, create_graph: bool) -> dict[str, Tensor]:
        per_atom = ("node_energy", "forces")
        out = {key: value[: counts[0] if key in per_atom else counts[2]] for key, value in found.items()}
        return out if create_graph else {key: value.detach() for key, value in out.items()}

    def _sizes(self, counts: Sizes, kind: tuple[bool, bool]) -> Sizes | None:
        """The smallest of the sizes in use that holds a batch and is no more than twice as large, else a new one."""
        used = sorted(key[0] for key in self._functions if key[1:] == kind)
        for sizes in used:
            if all(n <= size for n, size in zip(needed(counts), sizes, strict=True)) and sizes[1] <= 2 * counts[1] + 64:
                return sizes
        return None if len(used) == MOST else tuple(map(rounded, needed(counts)))

    def _prepare(self, key: tuple[Any, ...], tensors: list[Tensor], batch: Batch) -> bool:
        """Compile for a size and compare; on failure say why and stop compiling."""
        (atoms, edges, frames), stress, create_graph = key
        log.info("Compiling for %d atoms, %d edges and %d frames; this can take minutes.", atoms, edges, frames)
        began = time.monotonic()
        try:
            function = compiled(self.potential, tensors, stress=stress, create_graph=create_graph)
            found = function(tensors, list(self.potential.parameters()))
        except RuntimeError as error:  # what torch raises for what it cannot trace or compile, or without a compiler
            return self._give_up(str(error).strip().splitlines()[0])
        expected = self.potential(batch, stress=stress, create_graph=create_graph)
        counts = batch.num_nodes, batch.num_edges, batch.num_graphs
        apart = difference(self._unpadded(found, counts, create_graph), expected)
        if not apart <= TOLERANCE[self.potential.config["dtype"]]:
            return self._give_up(f"results differ by {apart:.1e}")
        self._functions[key] = function
        log.info("Compiled in %.0f s; the largest relative difference is %.1e.", time.monotonic() - began, apart)
        return True

    def _give_up(self, reason: str) -> bool:
        log.warning("Not compiled, it goes on without: %s.", reason)
        self.works = False
        return False


class _Derived(nn.Module):
    """What is traced: tensors in, tensors out."""

    def __init__(self, potential: Potential, options: Mapping[str, bool]) -> None:
        super().__init__()
        self.potential, self.options = potential, options

    def forward(self, species: Tensor, *tensors: Tensor) -> dict[str, Tensor]:
        graph = SimpleNamespace(**dict(zip(FIELDS, tensors, strict=True)))
        return self.potential.derived(graph, species, forces=True, **self.options)


def compiled(potential: Potential, tensors: list[Tensor], *, stress: bool, create_graph: bool) -> Any:
    """A function of (tensors, parameters) that is compiled when it is first called.

    Raises:
        RuntimeError: something looks at values, or torch cannot compile here.
    """
    module = _Derived(potential, {"stress": stress, "create_graph": create_graph})
    names = [name for name, _ in module.named_parameters()]

    def compute(tensors: list[Tensor], parameters: list[Tensor]) -> dict[str, Tensor]:
        return functional_call(module, dict(zip(names, parameters, strict=True)), tuple(tensors))

    traced = make_fx(compute, _allow_non_fake_inputs=True)(tensors, list(potential.parameters()))
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return torch.compile(traced, dynamic=False, fullgraph=True)


def needed(counts: Sizes) -> Sizes:
    """Room for a batch: two atoms and a frame more, which padded edges join."""
    return counts[0] + 2, counts[1], counts[2] + 1


def rounded(count: int) -> int:
    """The next size: multiples of 8 that grow by :data:`STEP`."""
    size = 8
    while size < count:
        size = max(size + 8, int(size * STEP) // 8 * 8)
    return size


def padded(batch: Batch, species: Tensor, sizes: Sizes, apart: float) -> list[Tensor]:
    """Species and the fields of a batch with as many atoms, edges and frames as ``sizes`` says.

    Further atoms belong to the last frame, a molecule; further edges join the first two of them, ``apart`` Å from each
    other and so beyond the cutoff.
    """
    atoms, edges, frames = sizes
    n, new = batch.num_nodes, atoms - batch.num_nodes
    positions = batch.pos.new_zeros(new, 3)
    positions[1:, 0] = apart
    cell = batch.cell.new_zeros(frames - batch.num_graphs, 3, 3)
    pair = batch.edge_index.new_tensor([[n], [n + 1]]).expand(2, edges - batch.num_edges)
    ends = batch.ptr.new_full((frames - batch.num_graphs,), n)
    ends[-1] = atoms
    fields = {
        "pos": torch.cat([batch.pos, positions]),
        "cell": torch.cat([batch.cell, cell]),
        "pbc": torch.cat([batch.pbc, batch.pbc.new_zeros(len(cell), 3)]),
        "edge_index": torch.cat([batch.edge_index, pair], dim=1),
        "unit_shifts": torch.cat([batch.unit_shifts, batch.unit_shifts.new_zeros(pair.shape[1], 3)]),
        "batch": torch.cat([batch.batch, batch.batch.new_full((new,), frames - 1)]),
        "ptr": torch.cat([batch.ptr, ends]),
    }
    return [torch.cat([species, species.new_zeros(new)]), *(fields[name] for name in FIELDS)]


def difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Largest difference of any output, relative to the largest value of that output (or 1)."""
    pairs = [(found[key].detach(), value.detach()) for key, value in expected.items() if key != "energy"]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs)
