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


def test_a_checkpoint_and_its_structure_go_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "model.ckpt"
    write_checkpoint(tiny("nequip", zbl=False), path)
    structure = path.with_suffix(".xyz")
    assert set(path.parent.iterdir()) == {path, structure}
    data = torch.load(path, weights_only=True)["hyper_parameters"]["info_dict"]["data"]
    assert data["train_file_path"] == str(structure)


@pytest.mark.parametrize("taken", ["data.ckpt", "data.xyz"])
def test_nothing_is_written_over(tmp_path, taken):
    (tmp_path / taken).write_text("mine")
    with pytest.raises(ScalarFidError, match=f"{taken} exists"):
        write_checkpoint(tiny("nequip", zbl=False), tmp_path / "data.ckpt")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(taken, "mine")]


@pytest.mark.parametrize(
    ("out", "reason"), [("", "exists"), ("file/model.ckpt", "Cannot write"), ("m.xyz", "in .ckpt")]
)
def test_where_nothing_can_be_written_nothing_is_left(tmp_path, out, reason):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "file").touch()
    with pytest.raises(ScalarFidError, match=reason):
        write_checkpoint(tiny("nequip", zbl=False), folder / out)
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "file"]


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
