"""What a step and an evaluation cost: probes on against bare, compiled against plain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch._inductor.utils import fresh_cache
from torch_geometric.data import Batch

import scalarfid
from scalarfid.bench.timing import How, interleaved, pays, ratio, ratios
from scalarfid.data import build_graph, joined
from scalarfid.flops import count_flops
from scalarfid.potential import Potential, faster


def silver(repeats: int, *, cubic: bool = False) -> Atoms:
    """repeats³ rattled atoms of fcc Ag, four times as many of the cubic cell."""
    atoms = bulk("Ag", a=4.09, cubic=cubic) * (repeats, repeats, repeats)
    atoms.rattle(0.1, seed=0)
    return atoms


def bare(preset: str, elements: Sequence[str], how: How, probe: str = "none") -> Potential:
    """A potential without ZBL, normalised by 50 neighbours (fcc Ag has 42 within 5 Å)."""
    potential = scalarfid.build(preset, probe, elements=elements, dtype=how.dtype, zbl=False, mean_neighbours=50.0)
    return potential.to(how.device)


def evaluation(potential: Potential, graph: Batch) -> Callable[[], Any]:
    """One evaluation of energy and forces."""
    potential.eval()
    return lambda: potential(graph)


def step(potential: Potential, graph: Batch, compute: Callable[..., Any] | None = None) -> Callable[[], Any]:
    """One step: energy and forces (by ``compute``, else the potential), their squares as loss, gradients, Adam."""
    potential.train()
    optimiser = torch.optim.Adam(potential.parameters(), lr=1e-6)

    def run() -> None:
        out = (compute or potential)(graph, create_graph=True)
        optimiser.zero_grad()
        (out["energy"].square().mean() + out["forces"].square().mean()).backward()
        optimiser.step()

    return run


def rattled(atoms: Atoms, number: int) -> list[Atoms]:
    """So many rattled copies."""
    copies = [atoms.copy() for _ in range(number)]
    for seed, copy_ in enumerate(copies):
        copy_.rattle(0.05, seed=seed)
    return copies


def ethanols(cutoff: float = 5.0) -> Batch:
    """Five rattled ethanol molecules, 360 edges."""
    return joined([build_graph(atoms, cutoff) for atoms in rattled(molecule("CH3CH2OH"), 5)])


def probes(preset: str, how: How) -> Iterator[dict[str, Any]]:
    """Rows of PAN+PGS on a backbone against the backbone bare: ``inference``, ``step`` and ``flops`` on ethanol × 5."""
    graph = ethanols().to(how.device)
    arms = {probe: bare(preset, ["H", "C", "O"], how, probe) for probe in ("pan+pgs", "none")}
    row = {"case": f"{preset} with pan+pgs, ethanol × 5", "against": "bare", "target": 1.05}
    for name, build in (("inference", evaluation), ("step", step)):
        times = interleaved({probe: build(arm, graph) for probe, arm in arms.items()}, how.turns, f"{preset}, {name}")
        yield row | {"row": name, **ratios(times["pan+pgs"], times["none"])}
    counted = [np.array([count_flops(evaluation(arm, graph)).total], dtype=float) for arm in arms.values()]
    flops = ratio(*counted)
    flops["operations"] = flops.pop("seconds")
    yield row | {"row": "flops", "wall": flops}


def compiled(preset: str, how: How) -> Iterator[dict[str, Any]]:
    """Rows of a compiled training step, bare and with PAN+PGS, on molecules and a crystal, against the plain step."""
    molecules, crystal = ethanols().to(how.device), joined([build_graph(silver(4), 5.0)]).to(how.device)
    cases = [
        ("none, ethanol × 5", molecules, bare(preset, ["H", "C", "O"], how)),
        ("pan+pgs, ethanol × 5", molecules, bare(preset, ["H", "C", "O"], how, "pan+pgs")),
        ("pan+pgs, 64 Ag", crystal, bare(preset, ["Ag"], how, "pan+pgs")),
    ]
    for case, graph, potential in cases:
        took, run = _compiled_step(potential, graph)
        times = interleaved({"compiled": run, "eager": step(potential, graph)}, how.turns, f"{preset}, compiled")
        found = ratios(times["compiled"], times["eager"])
        row = {"row": "compiled", "case": f"{preset}, {case}", "against": "plain step", "target": 0.6}
        yield row | {"note": f"{paid_back(took, found['wall'])} steps", **found}


def _compiled_step(potential: Potential, graph: Batch) -> tuple[list[float], Callable[[], Any]]:
    return compiling(lambda: step(potential, graph, faster(potential)), lambda run: run())


def compiling(make: Callable[[], Any], call: Callable[[Any], Any]) -> tuple[list[float], Any]:
    """Seconds of the first call of what is made, with an empty cache on disk and with a filled one, and the latter."""
    took = []
    with fresh_cache():
        for _ in range(2):
            torch.compiler.reset()
            made = make()
            began = time.monotonic()
            call(made)
            took.append(time.monotonic() - began)
    return took, made


def paid_back(took: Sequence[float], found: Mapping[str, float]) -> str:
    """Times of :func:`compiling`, and when they are paid back by a row's seconds and ratio."""
    saved = found["seconds"] * (1 / found["ratio"] - 1)
    return f"compiled in {took[0]:.0f} s, {took[1]:.0f} s when cached; {pays(took, saved)}"
