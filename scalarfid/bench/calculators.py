"""What an ASE calculator costs: ours against upstream's, compiled or not, and many frames against one by one."""

from __future__ import annotations

import copy
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator

from scalarfid.backbones.isolation import isolated
from scalarfid.bench.steps import bare, compiling, paid_back, rattled, silver
from scalarfid.bench.timing import How, Times, interleaved, ratios
from scalarfid.bench.trainers import script
from scalarfid.calculator import ScalarFidCalculator
from scalarfid.errors import ScalarFidError
from scalarfid.export import nequip_model, write_checkpoint
from scalarfid.physics.surface import OfCalculator, OfPotential
from scalarfid.potential import Potential

AGREE = {"float32": 1e-3, "float64": 1e-9}
"""eV/Å; forces of two calculators with the same weights may differ by so much."""
COMPILED = 6
"""Compiled calculators have so many cells along an edge."""


def calculators(preset: str, how: How, *, quick: bool) -> Iterator[dict[str, Any]]:
    """Rows of the ASE calculator against upstream's: energy + forces of 64 to 512 atoms, positions new at each call.

    If ``quick``, at one size both are compiled too.
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


def upstream_calculator(potential: Potential, **options: Any) -> Calculator:
    """The calculator of the backbone's own package on the same weights; options are those of ``MACECalculator``."""
    with isolated(dtype=next(potential.parameters()).dtype, seed=0):
        if potential.config["backbone"]["name"] == "mace":
            return _mace_calculator(potential, **options)
        return _nequip_calculator(potential)


def _mace_calculator(potential: Potential, **options: Any) -> Calculator:
    from mace.calculators import MACECalculator  # noqa: PLC0415 - one of the optional packages

    model, dtype = copy.deepcopy(potential.backbone.model).eval(), potential.config["dtype"]
    return MACECalculator(models=[model], device=str(potential.e0.device), default_dtype=dtype, **options)


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
    """Upstream's of the same weights, compiled: MACE's by torch at its first call, others by ``nequip-compile``."""
    if potential.config["backbone"]["name"] == "mace":
        return {name: upstream_calculator(potential, compile_mode="default")}
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
