"""A tiny potential and a dataset of twelve labelled frames, molecules and crystals, written to disk once."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from results.sweeps import copy_sweep, train_sweep

import scalarfid
from scalarfid.data import load, named
from scalarfid.potential import save
from scalarfid.results import writing
from scalarfid.results.writing import write_report

CUTOFF = 3.5


def _frame(index: int, rng: np.random.Generator):
    atoms = molecule("H2O") if index % 3 else bulk("MgO", "rocksalt", a=4.2)
    atoms.rattle(0.05, seed=index)
    forces = rng.normal(size=(len(atoms), 3))
    results = {"energy": rng.normal() - 10.0 * len(atoms), "forces": forces - forces.mean(axis=0)}
    if atoms.pbc.all():
        stress = 0.01 * rng.normal(size=(3, 3))
        results["stress"] = stress + stress.T
    atoms.info["group"] = index
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="session")
def frames_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("frames") / "frames.xyz"
    write(path, [_frame(i, rng) for i in range(12)], format="extxyz")
    return path


@pytest.fixture(scope="session")
def dataset(frames_file, tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    config = named("file", path=str(frames_file), n_train=6, n_val=2, n_test=4, e0="mean", cache=cache)
    return load(config, cutoff=CUTOFF)


@pytest.fixture(scope="session")
def potential(dataset):
    return scalarfid.build(
        backbone="mace_tiny",
        elements=list(dataset.elements),
        cutoff=CUTOFF,
        e0=dataset.e0,
        overrides=["model.dtype=float64"],
    ).eval()


@pytest.fixture(scope="session")
def model_file(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save(potential, path)
    return path


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """Folder of nine runs that were really trained: three arms at three seeds."""
    return train_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="session")
def reported(sweep, tmp_path_factory):
    """Folder of their report."""
    return write_report([sweep], tmp_path_factory.mktemp("report")).page.parent


@pytest.fixture
def folder(sweep, tmp_path):
    """A copy of the sweep, to be changed."""
    return copy_sweep(sweep, tmp_path / "runs")


@pytest.fixture
def no_figures(monkeypatch):
    """Figures take longest, and are looked at elsewhere."""
    for name in ("pictures", "forests"):
        monkeypatch.setattr(writing, name, lambda *_: [])
