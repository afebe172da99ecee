"""A bare NequIP or Allegro goes through nequip's own compiler and stays what it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import structures
import torch
from potentials import tiny

from scalarfid.backbones.isolation import isolated
from scalarfid.calculator import ScalarFidCalculator
from scalarfid.errors import ScalarFidError
from scalarfid.export import write_checkpoint

COMPILE = [str(Path(sys.executable).parent / "nequip-compile")]
TO_ASE = ["--mode", "aotinductor", "--device", "cpu", "--target", "ase"]


@pytest.mark.parametrize(
    ("words", "zbl", "reason"),
    [
        (("mace", "none"), False, "backbone=mace"),
        (("nequip", "pan"), False, "probe=pan"),
        (("nequip",), True, "zbl=true"),
    ],
    ids=["another backbone", "a probe", "ZBL"],
)
def test_what_nequip_has_no_place_for_is_refused(tmp_path, words, zbl, reason):
    with pytest.raises(ScalarFidError, match=reason):
        write_checkpoint(tiny(*words, zbl=zbl), tmp_path / "model.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["nequip", "allegro"])
def test_what_nequip_compiles_gives_our_energy_forces_and_stress(backbone, tmp_path):
    from nequip.integrations.ase import NequIPCalculator

    potential = tiny(backbone, "none", zbl=False, dtype="float64")
    write_checkpoint(potential, tmp_path / "model.ckpt")
    subprocess.run([*COMPILE, "model.ckpt", "model.nequip.pt2", *TO_ASE], cwd=tmp_path, check=True, timeout=500)
    ours = ScalarFidCalculator(potential)
    with isolated(dtype=torch.float64, seed=0):
        file = str(tmp_path / "model.nequip.pt2")
        theirs = NequIPCalculator.from_compiled_model(file, "cpu", chemical_species_to_atom_type_map=True)
        for atoms in (structures.molecule(), structures.crystal()):
            for quantity in ("energy", "forces", "stress") if atoms.pbc.all() else ("energy", "forces"):
                compiled, found = (c.get_property(quantity, atoms) for c in (theirs, ours))
                np.testing.assert_allclose(compiled, found, rtol=1e-9, atol=1e-9, err_msg=quantity)
