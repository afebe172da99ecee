"""What a trained set is asked about: the molecule that is known, else its training frame of lowest energy."""

from __future__ import annotations

import os
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from physics.surfaces import Pairs

from scalarfid.data import named as dataset
from scalarfid.data.loading import load, training_frames
from scalarfid.physics import named, surface, system_of
from scalarfid.physics.nve import NveOptions, measure


def labelled(start, energies):
    frames = []
    for k, energy in enumerate(energies):
        frames.append(start.copy())
        frames[-1].rattle(0.02, seed=k)
        frames[-1].info["REF_energy"] = energy
    return frames


def system(path, frames, **others):
    ase.io.write(path, frames)
    return system_of({"name": "file", "path": str(path), "n_val": 2, "n_test": 2, **others}, (1, 8))


def test_a_molecule_that_nobody_knows_is_the_training_frame_of_lowest_energy(tmp_path):
    frames, path = labelled(molecule("H2O"), np.arange(12) % 7 - 50.0), tmp_path / "water.xyz"
    found = system(path, frames)
    (atoms,) = found.molecules.values()
    train = training_frames({"name": "file", "path": str(path), "n_val": 2, "n_test": 2})
    lowest = min(train, key=lambda atoms: atoms.info["REF_energy"])
    assert len(train) == 8
    assert np.array_equal(atoms.positions, lowest.positions)
    number = lowest.info["frame"]
    assert found.sources == {"H2O": f"training frame of lowest energy of file, number {number} of its file"}
    assert all(question.applies(None, found) is None for question in named("bsct,nve,stability"))
    short = NveOptions(duration=0.01, settle=0, timesteps=[0.5])
    settings = measure(surface(Pairs(np.zeros_like, np.zeros_like, 3.0)), None, found, short).settings
    assert settings["structures"] == {"H2O": {"formula": "H2O", "atoms": 3, "source": found.sources["H2O"]}}
    assert system_of({"name": "file", "path": str(tmp_path / "gone.xyz")}, (1, 8)).molecules == {}


@pytest.mark.parametrize(
    "frames",
    [
        labelled(bulk("Si").repeat(2), np.arange(12.0)),
        labelled(molecule("H2O"), np.arange(6.0)) + labelled(molecule("H2O2"), np.arange(6.0)),
    ],
    ids=["periodic", "two molecules"],
)
def test_other_sets_have_none(frames, tmp_path):
    assert system(tmp_path / "frames.xyz", frames).molecules == {}


def test_the_training_frames_are_those_of_the_graphs(tmp_path):
    frames = [Atoms("H", info={"REF_energy": -13.0}), *labelled(molecule("H2O"), np.arange(12.0))]
    ase.io.write(tmp_path / "water.xyz", frames)
    config = {"name": "file", "path": str(tmp_path / "water.xyz"), "cache": str(tmp_path), "e0": "mean"}
    expected = [int(graph.frame) for graph in load(config, cutoff=3.0).train]
    assert [atoms.info["frame"] for atoms in training_frames(config)] == expected


@pytest.mark.parametrize(("name", "others"), [("acac", {}), ("3bpa", {}), ("rmd17", {"molecule": "aspirin"})])
def test_published_molecules_without_a_known_geometry_have_one(name, others):
    root = os.environ.get("SCALARFID_DATA")
    if not root or not Path(root, "acac").is_dir():
        pytest.skip("SCALARFID_DATA with acac/ is not there")
    found = system_of(vars(dataset(name, root=root, **others)), (1, 6, 7, 8))
    (atoms,) = found.molecules.values()
    assert found.sources[others.get("molecule", name)].startswith(f"training frame of lowest energy of {name}, ")
    assert not atoms.pbc.any()
    assert "REF_energy" not in atoms.info
