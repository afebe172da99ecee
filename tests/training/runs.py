"""Small real runs on the ethanol set, in this process or in another, and what two of them have in common."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from scalarfid.config import compose
from scalarfid.training import RunResult, run
from scalarfid.training.checkpoint import read
from scalarfid.training.directory import RunDirectory

SMALL = (
    "backbone=mace_tiny",
    "probe=pan+pgs",
    "dataset=ethanol",
    "dataset.n_train=8",
    "dataset.n_val=2",
    "dataset.n_test=2",
    "model.cutoff=3.5",
    "training.max_epochs=6",
    "training.batch_size=1",
    "training.validate_every=2",
    "training.warmup_steps=5",
    "run.progress=false",
)

# Imported once by a server from which every further process is forked: importing takes longer than training.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["scalarfid.training.running", "scalarfid.train", "mace.modules"])


def overrides(root: Path, *more: str) -> list[str]:
    """Overrides of a small run below ``root``; the later ones win."""
    chosen = {word.partition("=")[0]: word for word in (*SMALL, f"run.root={root}", *more)}
    return list(chosen.values())


def train(root: Path, *more: str) -> RunResult:
    """Run in this process."""
    return run(compose(overrides(root, *more)))


@dataclass
class Command:
    """The command in another process, which receives real signals; its output goes to files."""

    process: multiprocessing.Process
    folder: Path

    @classmethod
    def start(cls, root: Path, *more: str) -> Command:
        """Start ``scalarfid.train``."""
        root.mkdir(exist_ok=True)
        folder = root.parent / f"output-{time.monotonic_ns()}"
        folder.mkdir()
        process = PROCESSES.Process(target=_main, args=(overrides(root, *more), str(folder)), daemon=True)
        process.start()
        return cls(process, folder)

    def end(self, signum: int | None = None) -> int:
        """Signal it if asked, and wait for its exit status."""
        if signum is not None:
            os.kill(self.process.pid, signum)
        self.process.join(120)
        return self.process.exitcode

    @property
    def out(self) -> str:
        """What it wrote to stdout."""
        return (self.folder / "out").read_text()

    @property
    def lines(self) -> list[str]:
        """What it wrote to stderr."""
        return [line for line in (self.folder / "err").read_text().splitlines() if line]

    @property
    def err(self) -> str:
        """The same on one line."""
        return " ".join(" ".join(self.lines).split())


def _main(words: list[str], folder: str) -> None:
    from scalarfid.train import main

    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), number)
    torch.set_num_threads(1)
    sys.argv = ["scalarfid.train", *words]
    main()


def hold(path: Path) -> None:
    """Hold a run directory until killed; for another process."""
    with RunDirectory(path) as directory:
        directory.begin("seed: 0\n", anew=False)
        time.sleep(300)


def wait_for_rows(root: Path, rows: int, command: Command) -> Path:
    """Wait until the only run below ``root`` has written so many epochs, and return its directory."""
    for _ in range(60_000):
        for file in root.glob("*/*/metrics.csv"):
            if file.read_text().count("\n") > rows:
                return file.parent
        if not command.process.is_alive():
            raise AssertionError(f"ended early with {command.process.exitcode}: {command.err}")
        time.sleep(0.002)
    raise AssertionError("no rows within two minutes")


def assert_same_record(one: Path, other: Path) -> None:
    """Every number of two runs is equal to the last bit: rows, weights, average, moments, generators, best model."""
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    for name in ("last.ckpt", "best.ckpt"):
        states = [read(path / "checkpoints" / name) for path in (one, other)]
        for state in states:
            for where in ("elapsed", "processor", "config"):
                del state[where]
        assert_equal(*states)
    assert_equal(*(load_file(path / "model.safetensors") for path in (one, other)))


def assert_equal(one: object, other: object, place: str = "") -> None:
    """Nested tensors and plain values are equal bit by bit."""
    if isinstance(one, dict):
        assert set(one) == set(other), place
        for key in one:
            assert_equal(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), place
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{place}/{i}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    else:
        assert one == other, place
