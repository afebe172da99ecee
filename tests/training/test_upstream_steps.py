"""Every step of a training is one of upstream's own trainer: from the same weights and frames, MACE's and NequIP's
neighbour lists, batches, networks, losses, optimisers, clipping and averages give the same weights, in float64."""

from __future__ import annotations

import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from backbones.upstream import E0
from training.upstream import TRAINERS

from scalarfid.config import compose
from scalarfid.data import load
from scalarfid.potential import Potential, model_config
from scalarfid.training import checkpoint, run
from scalarfid.training.batches import EpochBatches

# The clip is between the smallest and the largest norm of a gradient.
CASES = [("mace", "mse", 0.005), ("mace", "huber", 0.0004), ("nequip", "mse", 0.015), ("allegro", "mse", 0.02)]


@pytest.mark.parametrize(("backbone", "loss", "clip"), CASES)
def test_every_step_is_that_of_upstreams_trainer(backbone, loss, clip, tmp_path):
    frames = [labelled(seed) for seed in range(6)]
    ase.io.write(tmp_path / "train.xyz", frames[:5], format="extxyz")
    ase.io.write(tmp_path / "val.xyz", frames[5:], format="extxyz")
    config = compose([*words(tmp_path), f"backbone={backbone}_tiny", f"training.loss={loss}", f"training.clip={clip}"])
    dataset = load(config["dataset"], cutoff=config["model"]["cutoff"])
    start, settings = Potential.from_config(model_config(config, dataset)), config["training"]

    ours = checkpoint.read(run(config).directory / "checkpoints" / checkpoint.LAST)
    batches = EpochBatches(dataset.train, config["seed"], settings["batch_size"])
    epochs = range(settings["max_epochs"])
    order = [[dataset.train[i] for i in batch] for epoch in epochs for batch in batches.of_epoch(epoch)]
    norms, trained, average = TRAINERS[backbone](start, order, settings)

    assert len(norms) == ours["step"] == 12
    assert sum(norm > 0.99 * clip for norm in norms) in range(1, len(norms)), norms
    before = start.native_state()
    assert any(not torch.equal(value, before[name]) for name, value in trained.items())
    check_equal(start, ours["model"], trained)
    check_equal(start, {k.removeprefix("module."): v for k, v in ours["ema"].items() if k != "n_averaged"}, average)


def check_equal(start, state, theirs):
    potential = Potential.from_config(start.config)
    potential.load_state_dict(state)
    for name, value in potential.native_state().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-9, atol=1e-12, msg=name)


def labelled(seed: int) -> ase.Atoms:
    """A small crystal of all four elements that sees its own images, with random labels."""
    atoms = ase.build.bulk("SiC", "zincblende", a=4.4) * (2, 1, 1)
    atoms.symbols[:] = list(E0)
    atoms.rattle(0.2, seed=seed)
    draw = np.random.default_rng(seed).normal
    forces = draw(size=(4, 3))
    labels = {"energy": draw(), "forces": forces - forces.mean(0), "stress": 0.1 * draw(size=6)}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def words(folder) -> list[str]:
    weights = ["energy_weight=1", "forces_weight=10", "stress_weight=50", "huber_delta=0.1"]
    steps = ["optimizer=adam_amsgrad", "lr=0.01", "schedule=constant", "warmup_steps=0", "ema_decay=0.9"]
    training = [f"training.{word}" for word in (*weights, *steps, "max_epochs=4", "batch_size=2")]
    files = [f"dataset.{split}={folder / split}.xyz" for split in ("train", "val")]
    model = ["probe=none", "model.dtype=float64", "model.zbl=false", "model.cutoff=4"]
    return ["dataset=file", *files, "dataset.e0=mean", *model, *training, f"run.root={folder}", "run.progress=false"]
