"""An ASE calculator over a trained potential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from scalarfid.data import VerletList, build_graph
from scalarfid.potential import Potential, device_of, faster, load


class ScalarFidCalculator(Calculator):
    """Energy, forces and stress of a run or a model file, for ASE.

    Units are ASE's: eV, eV/Å, eV/Å³ (stress tensile positive, Voigt order xx yy zz yz xz xy). Stress exists for cells
    periodic in three directions.

    Args:
        model: a run directory, a model file, or a :class:`~scalarfid.potential.Potential`.
        dtype: ``float64`` (the default: smooth for phonons and molecular dynamics) or ``float32``.
        device: auto, cpu, cuda, cuda:1.
        compile: whether to compile, for a few sizes, each a minute or more: for thousands of steps.
        **kwargs: passed on to ASE's ``Calculator``.

    Raises:
        ScalarFidError: if there is no such model or device, or the atoms hold an element it was not built for.
        TypeError: a keyword that ASE's ``Calculator`` does not have.

    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(
        self,
        model: str | Path | Potential,
        dtype: str = "float64",
        device: str | torch.device = "cpu",
        *,
        compile: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.parameters:  # where ASE puts the keywords that it does not know
            raise TypeError(f"ScalarFidCalculator() got an unexpected keyword argument {next(iter(self.parameters))!r}")
        potential = model if isinstance(model, Potential) else load(model)
        self.device = device_of(device)
        self.potential = potential.with_dtype(dtype).to(self.device).eval()
        if self.potential is not model:  # the caller's own may go on being trained
            self.potential.requires_grad_(False)
        self._neighbours = VerletList()
        self._compute = faster(self.potential) if compile else self.potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute what ASE asks for; one evaluation gives energy and forces, and stress where it is asked."""
        super().calculate(atoms, properties, system_changes)
        periodic = bool(self.atoms.pbc.all())
        if "stress" in properties and not periodic:
            raise PropertyNotImplementedError(f"stress needs a 3-D periodic cell, not pbc={self.atoms.pbc}")
        graph = build_graph(self.atoms, self.potential.cutoff, labels=False, search=self._neighbours).to(self.device)
        out = self._compute(graph, stress="stress" in properties)
        values = {key: value.cpu().numpy() for key, value in out.items()}
        energy = float(values["energy"][0])
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": values["node_energy"],
            "forces": values["forces"],
        }
        if "stress" in values:
            self.results["stress"] = full_3x3_to_voigt_6_stress(values["stress"][0])
