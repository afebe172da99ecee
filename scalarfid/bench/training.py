"""Whole trainers under the stopwatch: one epoch, from the command to the first step, peak of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from scalarfid.bench.timing import CLOCKS, How, Times, pays, ratio, ratios
from scalarfid.bench.trainers import BATCH, FRAMES, Case, compiled, make_case, ours, upstream
from scalarfid.errors import ScalarFidError
from scalarfid.memory import HUGE_PAGES

STOPWATCH = Path(__file__).with_name("stopwatch.py")
STEPS = FRAMES // BATCH
TRAINERS = {"mace": "mace_run_train", "nequip": "nequip-train", "allegro": "nequip-train"}


class Trainer:
    """A trainer in a process of its own, on one thread, that waits at the first step of every epoch.

    Args:
        line: its command, for Python.
        folder: to run in.
    """

    def __init__(self, line: Sequence[str], folder: Path) -> None:
        (tell, told), (asked, ask) = os.pipe(), os.pipe()
        self.ask, self.tell, self.output = ask, os.fdopen(tell), folder / f"output-{time.monotonic_ns()}"
        own = {"OMP_NUM_THREADS": "1", "STOPWATCH_BEGAN": repr(time.time())}
        own["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")  # empty, so that compiling is timed too
        environment = {**os.environ, **own}
        environment.pop(HUGE_PAGES, None)  # this process asks for them, upstream's do not
        command = [sys.executable, "-W", "ignore", str(STOPWATCH), str(told), str(asked), str(STEPS), *line]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                command, cwd=folder, env=environment, pass_fds=(told, asked), stdout=output, stderr=output
            )
        os.close(told)
        os.close(asked)

    def wait(self) -> dict[str, float]:
        """Times since it was last let go, and its peak of memory.

        Raises:
            ScalarFidError: it ended before.
        """
        answer = self.tell.readline()
        if not answer:
            raise ScalarFidError(f"{self.process.args[-1]} ended early: {self.output.read_text()[-500:]}")
        return json.loads(answer)

    def epoch(self) -> dict[str, float]:
        """Let it train an epoch, validation and all."""
        os.write(self.ask, b"g")
        return self.wait()

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self.tell.close()
        os.close(self.ask)


def measured(preset: str, how: How, starts: int, *, quick: bool) -> Iterator[dict[str, Any]]:
    """Rows ``epoch`` (compiled too if ``quick``), ``start`` and ``memory`` of a preset."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        case = make_case(preset, how.turns + 2, Path(folder), how.device)
        began = [_starts(case, seed) for seed in range(1, starts)]
        sides = (ours, upstream, compiled) if quick else (ours, upstream)
        trainers = [stack.enter_context(Trainer(side(case, 0), case.folder)) for side in sides]
        first = [trainer.wait() for trainer in trainers]
        began.append(first[:2])
        turns = [[trainer.epoch() for trainer in trainers] for _ in range(how.turns)]
        again = _first(case, compiled, 1)["wall"] if quick else None
    row = {"case": f"{preset}, ethanol", "against": TRAINERS[case.backbone]}
    mine, theirs, *faster = _times(turns)
    yield row | {"row": "epoch", "target": 0.95, **ratios(mine, theirs)}
    for times in faster:
        note = _paid_back(first[0]["wall"], [first[2]["wall"], again], np.median(mine[:, 0]) - np.median(times[:, 0]))
        words = {"case": f"{preset} compiled, ethanol", "note": note}
        yield row | words | {"row": "epoch", "target": 0.6, **ratios(times, theirs)}
    yield row | {"row": "start", "target": 0.7, **ratios(*_times(began))}
    peaks = np.array([[found["peak"] for found in turn] for turn in turns[-1:]])
    memory = ratio(peaks[:, 0], peaks[:, 1])
    memory["bytes"] = memory.pop("seconds")
    yield row | {"row": "memory", "target": 1.0, "wall": memory}


def _paid_back(plain: float, compiled: Sequence[float], saved: float) -> str:
    """When compiling has paid for itself, by seconds to the first step and seconds that an epoch saves."""
    first = "first step after " + " s, ".join(f"{wait:.0f}" for wait in compiled) + " s when cached"
    return f"{first}; {pays([max(0.0, wait - plain) for wait in compiled], saved)} epochs"


def _starts(case: Case, seed: int) -> list[dict[str, float]]:
    """Times to the first step, ours and upstream's; who begins changes from seed to seed."""
    found = {}
    for side in (ours, upstream) if seed % 2 else (upstream, ours):
        found[side] = _first(case, side, seed)
    return [found[ours], found[upstream]]


def _first(case: Case, side: Any, seed: int) -> dict[str, float]:
    """Times to a trainer's first step."""
    with Trainer(side(case, seed), case.folder) as trainer:
        return trainer.wait()


def _times(turns: Sequence[Sequence[dict[str, float]]]) -> list[Times]:
    return [np.array([[turn[side][clock] for clock in CLOCKS] for turn in turns]) for side in range(len(turns[0]))]


def answers(turns: int) -> Iterator[dict[str, Any]]:
    """Rows of what answers without training: ``--help`` and ``--cfg job``, against two seconds."""
    for words in (["--help"], ["--cfg", "job"]):
        times = np.array([_answer(words) for _ in range(turns)])
        row = {"row": "answer", "case": " ".join(words), "against": "2 s", "target": 1.0}
        yield row | ratios(times, np.full_like(times, 2.0))


def _answer(words: Sequence[str]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "scalarfid.train", *words]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - ours
    after = os.times()
    spent = after.children_user + after.children_system - processor.children_user - processor.children_system
    return time.perf_counter() - wall, spent
