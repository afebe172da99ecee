"""What a step and a calculator cost: probes on against bare, calculators against upstream's, atoms by the thousand."""

from __future__ import annotations

import copy
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from torch._inductor.utils import fresh_cache
from torch_geometric.data import Batch

import scalarfid
from scalarfid.backbones.isolation import isolated
from scalarfid.bench.timing import How, Times, interleaved, pays, ratio, ratios
from scalarfid.bench.trainers import script
from scalarfid.calculator import ScalarFidCalculator
from scalarfid.data import build_graph, joined
from scalarfid.errors import ScalarFidError
from scalarfid.export import nequip_model, write_checkpoint
from scalarfid.flops import count_flops
from scalarfid.physics.surface import OfCalculator, OfPotential
from scalarfid.potential import Potential, faster

AGREE = {"float32": 1e-3, "float64": 1e-9}
"""eV/Å; forces of two calculators with the same weights may differ by so much."""
COMPILED = 6
"""Compiled calculators have so many cells along an edge."""


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


def calculators(preset: str, how: How, *, quick: bool) -> Iterator[dict[str, Any]]:
    """Rows of the ASE calculator against upstream's: energy + forces of 64 to 512 atoms, positions new at each call.

    If ``quick``, at one size both are compiled too, NequIP's and Allegro's by nequip's own AOTInductor.
    """
    potential = bare(preset, ["Ag"], how).requires_grad_(False)  # as one read from a file
    ours, theirs = ScalarFidCalculator(potential, how.dtype, how.device), upstream_calculator(potential)
    name = type(theirs).__name__
    for n in (4, 6, 8):
        sides = {"ours": ours, name: theirs}
        if quick and n == COMPILED:
            took, sides["ours, compiled"] = _compiled_calculator(potential, how, silver(n))
            sides |= _compiled_upstream(potential, f"{name}, compiled")
        times = _in_turns(sides, silver(n), how)
        row = {"row": "calculator", "case": f"{preset}, {n**3} Ag"}
        yield row | {"against": name, "target": 1.0, **ratios(times.pop("ours"), times[name])}
        compiled = times.pop("ours, compiled", None)
        for other in times if compiled is not None else ():
            words = {"case": f"{preset} compiled, {n**3} Ag, {other}", "against": other, "target": 0.7}
            found = ratios(compiled, times[other])
            yield row | words | {"note": f"{paid_back(took, found['wall'])} calls", **found}


def _compiled_calculator(potential: Potential, how: How, atoms: Atoms) -> tuple[list[float], Calculator]:
    """Our compiled calculator, and the seconds of its first call (:func:`compiling`)."""
    return compiling(
        lambda: ScalarFidCalculator(potential, how.dtype, how.device, compile=True),
        lambda calculator: calculator.get_forces(atoms),
    )


def _in_turns(sides: dict[str, Calculator], atoms: Atoms, how: How) -> dict[str, Times]:
    """Times of calculators whose forces agree (:data:`AGREE`).

    Raises:
        ScalarFidError: they do not.
    """
    forces = {side: calculator.get_forces(atoms) for side, calculator in sides.items()}
    for side, found in forces.items():
        apart = np.abs(found - forces["ours"]).max()
        if not apart < AGREE[how.dtype]:
            raise ScalarFidError(f"Forces of {side} and ours on {len(atoms)} atoms differ by {apart:.3g} eV/Å.")
    calls = {side: _moving(calculator, atoms.copy()) for side, calculator in sides.items()}
    return interleaved(calls, how.turns, f"{len(atoms)} atoms", warm_up=2)


def _moving(calculator: Calculator, atoms: Atoms) -> Callable[[], Any]:
    atoms.calc = calculator

    def run() -> None:
        atoms.positions += 1e-4
        atoms.positions[0, 0] -= 1e-3
        atoms.get_forces()

    return run


def upstream_calculator(potential: Potential) -> Calculator:
    """The calculator of the backbone's own package on the same weights."""
    with isolated(dtype=next(potential.parameters()).dtype, seed=0):
        if potential.config["backbone"]["name"] == "mace":
            return _mace_calculator(potential)
        return _nequip_calculator(potential)


def _mace_calculator(potential: Potential) -> Calculator:
    from mace.calculators import MACECalculator  # noqa: PLC0415 - one of the optional packages

    model, dtype = copy.deepcopy(potential.backbone.model).eval(), potential.config["dtype"]
    return MACECalculator(models=[model], device=str(potential.e0.device), default_dtype=dtype)


def _nequip_calculator(potential: Potential) -> Calculator:
    from nequip.data.transforms import (  # noqa: PLC0415 - one of the optional packages
        ChemicalSpeciesToAtomTypeMapper,
        NeighborListTransform,
    )
    from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415
    from nequip.utils.global_state import set_global_state  # noqa: PLC0415

    set_global_state()
    numbers, device = potential.config, potential.e0.device
    options = nequip_model(numbers)
    module, _, builder = options.pop("_target_").rpartition(".")
    model = getattr(import_module(module), builder)(seed=0, **options)
    model.load_state_dict(potential.native_state())
    names = options["type_names"]
    transforms = [ChemicalSpeciesToAtomTypeMapper(names), NeighborListTransform(numbers["cutoff"])]
    return NequIPCalculator(model.to(device).eval().requires_grad_(False), device, transforms=transforms)


def _compiled_upstream(potential: Potential, name: str) -> dict[str, Calculator]:
    """NequIP's or Allegro's calculator of the same weights, compiled by ``nequip-compile``; MACE has none."""
    if potential.config["backbone"]["name"] == "mace":
        return {}
    from nequip.integrations.ase import NequIPCalculator  # noqa: PLC0415 - one of the optional packages

    device = potential.e0.device
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(potential, Path(folder) / "model.ckpt")
        line = [script("nequip-compile"), "model.ckpt", "model.nequip.pt2"]
        line += ["--mode", "aotinductor", "--device", device.type, "--target", "ase"]
        subprocess.run(line, cwd=folder, check=True, capture_output=True)  # noqa: S603 - beside this Python
        file = Path(folder) / "model.nequip.pt2"
        return {name: NequIPCalculator.from_compiled_model(str(file), device, chemical_species_to_atom_type_map=True)}


def atoms(preset: str, how: How) -> Iterator[dict[str, Any]]:
    """Rows of the time per atom of 32 to 2048 atoms, against that of 256."""
    calculator = ScalarFidCalculator(bare(preset, ["Ag"], how), how.dtype, how.device)
    sizes = {4 * n**3: silver(n, cubic=True) for n in (2, 4, 6, 8)}
    calls = {str(size): _moving(calculator, frame) for size, frame in sizes.items()}
    times = interleaved(calls, how.turns, f"{preset}, atoms", warm_up=1)
    for size in sizes:
        row = {"row": "per atom", "case": f"{preset}, {size} Ag", "against": "256 Ag", "target": 1.15}
        yield row | ratios(times[str(size)] / size, times["256"] / 256)


def frames(preset: str, how: How) -> Iterator[dict[str, Any]]:
    """Rows of many frames in batches, as scans and phonons ask for them, against one by one by our ASE calculator."""
    for many, atoms in ((100, molecule("CH3CH2OH")), (50, bulk("Ag", a=4.09, cubic=True) * 2)):
        surface = OfPotential(bare(preset, sorted(set(atoms.symbols)), how))
        single, asked = OfCalculator(surface.calculator()), rattled(atoms, many)
        calls = {"batched": partial(surface, asked), "single": partial(single, asked)}
        times = interleaved(calls, how.turns, f"{preset}, frames", warm_up=1)
        row = {"row": "frames", "case": f"{preset}, {many} × {atoms.symbols}", "against": "one by one", "target": 0.1}
        yield row | ratios(times["batched"], times["single"])
