"""A potential's energy and derivatives as one compiled graph, for training and calculators that ask for it.

Energy, forces and stress are traced together, through autograd, by torch's ``make_fx``: what remains are plain
operations, which torch.compile (Inductor) fuses, with their gradients in the parameters where these are wanted. A graph
is compiled for fixed sizes, so batches are padded to a few of them by atoms and edges that add nothing.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import ceil
from operator import ge, itemgetter
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch_geometric.data import Batch

from scalarfid.data import joined
from scalarfid.log import log
from scalarfid.potential.core import Potential

FIELDS = ("pos", "cell", "pbc", "edge_index", "unit_shifts", "batch", "ptr")
STEP = 1.25
"""Sizes grow by so much."""
MOST = 8
"""Sizes that are compiled where nobody knows what comes; batches of others are then computed as without compiling."""
SHARE = 0.05
"""Of a training's batches, which makes a size worth compiling."""
WASTE = 1.5
"""A batch is padded to a larger size that is compiled anyway, if that has at most so many times its edges."""
SPARE = 1.05
"""Where nobody knows what comes, a size has room for so many times the edges, since those of moving atoms come and go,
and is one of a series that grows by as much: the next run, or model, then finds it in torch's caches."""
TOLERANCE = {"float32": 5e-5, "float64": 1e-9}
"""Largest relative difference from the potential itself, in any output and gradient of the first call at a size."""
DRAWS = 2
"""Parameters at which it is compared at most. Terms of a gradient that cancel at the one, so that its rounding is large
beside it, hardly do at the other; what the graph misses is missing at both."""
Sizes = tuple[int, int, int]


class Compiled:
    """Computes what a potential does, faster from the second call at a size on.

    The first call at a size compiles (a minute or more, less when the caches of torch know the graph) and is compared
    with the potential itself, whose forces are its energy's derivatives. Where that fails it says so once, and the
    potential itself is used from then on.

    Args:
        potential: parameters may change afterwards, their shapes, device and precision may not.
        batches: atoms, edges and frames of all batches to come: sizes that few of them have (:data:`SHARE`) are not
            compiled, their batches are padded further (:data:`WASTE`) or computed without. Unless given, the first
            sizes are compiled (:data:`MOST`).
    """

    def __init__(self, potential: Potential, batches: Iterable[Sizes] | None = None) -> None:
        self.potential = potential
        self.works = True
        self.chosen = None if batches is None else self._choose(list(batches))
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._full = False

    def __call__(self, graph: Any, *, stress: bool = False, create_graph: bool = False) -> dict[str, Tensor]:
        """Same as :class:`Potential` for energy and forces."""
        batch = graph if isinstance(graph, Batch) else joined([graph])
        counts = batch.num_nodes, batch.num_edges, batch.num_graphs
        sizes = self._sizes(counts, (stress, create_graph)) if self.works else None
        if sizes is None:
            return self.potential(batch, stress=stress, create_graph=create_graph)
        species = self.potential.species(batch.z)
        tensors = padded(batch, species, sizes, 1.5 * self.potential.cutoff)
        key = (sizes, stress, create_graph)
        if key not in self._functions and not self._prepare(key, tensors, batch):
            return self(batch, stress=stress, create_graph=create_graph)
        return _called(self._functions[key], tensors, self.potential.parameters(), counts, create_graph=create_graph)

    def _choose(self, batches: list[Sizes]) -> set[Sizes]:
        """Sizes for these batches; says for how many of them they are, and gives up where that is none."""
        chosen = recurring(batches)
        held = sum(holding(chosen, counts) is not None for counts in batches)
        if held:
            log.info("Compiling %d sizes, which hold %.0f %% of the batches.", len(chosen), 100 * held / len(batches))
        else:
            self._give_up("hardly any two batches have one size; batches by edges (training.batch_edges) differ less")
        return chosen

    def _sizes(self, counts: Sizes, kind: tuple[bool, bool]) -> Sizes | None:
        """The sizes for a batch; None where none is compiled. With known batches nothing depends on those before it."""
        if self.chosen is not None:
            return holding(self.chosen, counts)
        used = {key[0] for key in self._functions if key[1:] == kind}
        found = holding(used, counts)
        if found is None and len(used) < MOST:
            return roomy(counts)
        if found is None and not self._full:
            self._full = True
            log.info("%d sizes are compiled; what fits into none of them is computed without.", MOST)
        return found

    def _prepare(self, key: tuple[Any, ...], tensors: list[Tensor], batch: Batch) -> bool:
        """Compile for a size and compare; on failure say why and stop compiling."""
        (atoms, edges, frames), stress, create_graph = key
        tolerance = TOLERANCE[self.potential.config["dtype"]]
        log.info("Compiling for %d atoms, %d edges and %d frames; this can take minutes.", atoms, edges, frames)
        began = time.monotonic()
        try:
            graph = traced(self.potential, tensors, stress=stress, create_graph=create_graph)
            function = torch.compile(graph, dynamic=False, fullgraph=True)
            with _unlogged("torch._inductor.scheduler", "torch._inductor.utils"):  # pages, where an error comes anyway
                compared = partial(self._difference, function, tensors, batch, stress=stress, create_graph=create_graph)
                apart = agreeing(map(compared, range(DRAWS)), tolerance)
        except (RuntimeError, TypeError, AssertionError) as error:  # of torch: cannot trace or compile
            return self._give_up(" ".join(str(error).split())[:200])
        if not apart <= tolerance:
            return self._give_up(f"results differ by {apart:.1e}")
        self._functions[key] = function
        log.info("Compiled in %.0f s; the largest relative difference is %.1e.", time.monotonic() - began, apart)
        return True

    def _difference(self, function: Any, tensors: list[Tensor], batch: Batch, draw: int, **options: bool) -> float:
        """Largest relative difference, in gradients too, at parameters that are all moved: some begin at zero."""
        generator = torch.Generator().manual_seed(draw)
        named = dict(self.potential.named_parameters())
        moved = {name: _moved(parameter, generator) for name, parameter in named.items()}
        counts = batch.num_nodes, batch.num_edges, batch.num_graphs
        found = _called(function, tensors, moved.values(), counts, create_graph=options["create_graph"])
        expected = functional_call(self.potential, moved, (batch,), options)
        if options["create_graph"]:
            found, expected = (out | gradients(moved, out) for out in (found, expected))
        return difference(found, expected)

    def _give_up(self, reason: str) -> bool:
        log.warning("Not compiled, it goes on without: %s.", reason)
        self.works = False
        return False


def _called(
    function: Any, tensors: list[Tensor], parameters: Iterable[Tensor], counts: Sizes, *, create_graph: bool
) -> dict[str, Tensor]:
    """Outputs for the atoms and frames that are no padding.

    Without ``create_graph`` no gradient may be asked for: some operations of derivatives have none of their own.
    """
    with torch.set_grad_enabled(create_graph):
        found = function(tensors, list(parameters))
    per_atom = ("node_energy", "forces")
    return {key: value[: counts[0] if key in per_atom else counts[2]] for key, value in found.items()}


class _Derived(nn.Module):
    """What is traced: tensors in, tensors out."""

    def __init__(self, potential: Potential, options: Mapping[str, bool]) -> None:
        super().__init__()
        self.potential, self.options = potential, options

    def forward(self, species: Tensor, *tensors: Tensor) -> dict[str, Tensor]:
        graph = SimpleNamespace(**dict(zip(FIELDS, tensors, strict=True)))
        return self.potential.derived(graph, species, forces=True, **self.options)


def traced(potential: Potential, tensors: list[Tensor], *, stress: bool, create_graph: bool) -> fx.GraphModule:
    """The operations that make outputs of (tensors, parameters), derivatives included.

    Raises:
        RuntimeError: something looks at values.
    """
    module = _Derived(potential, {"stress": stress, "create_graph": create_graph})
    names = [name for name, _ in module.named_parameters()]

    def compute(tensors: list[Tensor], parameters: list[Tensor]) -> dict[str, Tensor]:
        return functional_call(module, dict(zip(names, parameters, strict=True)), tuple(tensors))

    graph = make_fx(compute, _allow_non_fake_inputs=True)(tensors, list(potential.parameters()))
    _join(graph.graph)
    graph.recompile()
    return graph


def _join(graph: fx.Graph) -> None:
    """Undo the detaching of results that autograd had saved for its derivatives (of tanh, exp, √ …).

    To autograd they carried their history along; as operations of a graph they would cut it, and gradients in the
    parameters would silently miss a part. Nothing else in a potential is detached but its inputs.
    """
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.detach.default):
        node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()


def needed(counts: Sizes) -> Sizes:
    """Least sizes for a batch of so many atoms, edges and frames: two atoms and a frame more, for padded edges."""
    atoms, edges, frames = counts
    return atoms + 2, edges, frames + 1


def padded_sizes(counts: Sizes) -> Sizes:
    """Sizes of :func:`needed`, each rounded up to one of few."""
    atoms, edges, frames = needed(counts)
    return rounded(atoms), rounded(edges), rounded(frames)


def roomy(counts: Sizes) -> Sizes:
    """Sizes for a calculator, tighter than :func:`padded_sizes`: its atoms stay, their edges come and go."""
    atoms, edges, frames = needed(counts)
    return 8 * ceil(atoms / 8), rounded(ceil(SPARE * edges), SPARE), frames


def recurring(batches: Iterable[Sizes]) -> set[Sizes]:
    """Sizes that at least :data:`SHARE` of the batches have."""
    found = Counter(map(padded_sizes, batches))
    return {sizes for sizes, count in found.items() if count >= SHARE * found.total()}


def holding(chosen: Iterable[Sizes], counts: Sizes) -> Sizes | None:
    """The smallest of these sizes with room for a batch and at most :data:`WASTE` times its edges; None if none has."""
    least = needed(counts)
    most = WASTE * rounded(least[1])
    found = [sizes for sizes in chosen if all(map(ge, sizes, least)) and sizes[1] <= most]
    return min(found, key=itemgetter(1, 0, 2), default=None)


def rounded(count: int, step: float = STEP) -> int:
    """The next size: multiples of 8 that grow by ``step``."""
    size = 8
    while size < count:
        size = max(size + 8, int(size * step) // 8 * 8)
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


def gradients(parameters: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of the sum of squares of forces, stress and energies of atoms, by the names of the parameters."""
    named = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    loss = sum(value.square().sum() for key, value in out.items() if key != "energy")
    found = torch.autograd.grad(loss, list(named.values()), materialize_grads=True, allow_unused=True)
    return dict(zip(named, found, strict=True))


@contextmanager
def _unlogged(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _moved(parameter: nn.Parameter, generator: torch.Generator) -> nn.Parameter:
    """A parameter too: for a plain tensor the compiler would begin again."""
    noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
    return nn.Parameter(parameter.detach() + 0.1 * noise, requires_grad=parameter.requires_grad)


def difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Largest difference of anything, relative to its largest value (or 1); NaN where anything is."""
    pairs = [(found[key].detach(), value.detach()) for key, value in expected.items() if key != "energy"]
    return float(torch.stack([(a - b).abs().max() / b.abs().max().clamp(min=1) for a, b in pairs]).max())


def agreeing(differences: Iterable[float], tolerance: float) -> float:
    """The first difference within the tolerance, after which none is asked for; the last, if there is none."""
    for apart in differences:
        if apart <= tolerance:
            break
    return apart
