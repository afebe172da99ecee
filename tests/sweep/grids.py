"""Grids of cells that take no time: the launchers are real, the runs only pretend."""

from __future__ import annotations

import time

from omegaconf import OmegaConf

from scalarfid.files import write_json
from scalarfid.sweep.cells import expand
from scalarfid.training.directory import RunDirectory

WORDS = (
    "backbone=mace_tiny",
    "probe=none",
    "dataset=ethanol",
    "dataset.n_train=4",
    "dataset.n_val=2",
    "dataset.n_test=2",
)


def words(root, *more):
    """Overrides of one cell below ``root``."""
    return [*WORDS, f"run.root={root}", *more]


def seeds(root, count, *more):
    """Overrides of cells that differ in the seed."""
    return [words(root, f"seed={seed}", *more) for seed in range(count)]


def ready(launcher, root, task=None):
    """A launcher as Hydra would hand it over."""
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(root / "default" / ".sweep")}}})
    launcher.setup(hydra_context=None, task_function=task, config=config)
    return launcher


class Runs:
    """A task that keeps run directories as a run does, without training.

    Args:
        jobs: overrides of the cells, which differ in the seed.
        early: what to do for a seed before its directory is begun.
        late: what to do afterwards.

    Attributes:
        seen: seeds in the order they came.
    """

    def __init__(self, jobs, *, early=None, late=None):
        self.paths = {cell.config["seed"]: cell.path for cell in expand(jobs)}
        self.seen, self.early, self.late = [], early or {}, late or {}

    def __call__(self, cfg):
        self.seen.append(cfg.seed)
        self.early.get(cfg.seed, bool)()
        with RunDirectory(self.paths[cfg.seed]) as directory:
            directory.begin("", anew=False)
            self.late.get(cfg.seed, bool)()
            write_json(directory.path / "summary.json", {"training_time_s": 10.0 * (cfg.seed + 1)})


def leave(path, **status):
    """A run directory that somebody left in some state."""
    write_json(path / "status.json", {"host": "elsewhere", "heartbeat": time.time(), **status})


def throw(error):
    """A function that raises."""

    def act():
        raise error

    return act
