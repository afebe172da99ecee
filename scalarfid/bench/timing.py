"""Times that can be compared on a machine that does other things too: turns, medians, ratios with an interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from scalarfid.log import console

CLOCKS = ("wall", "processor")
WARM_UP = 3
Times = NDArray[np.float64]
"""Wall and processor time in seconds, [turns, 2]."""


@dataclass(frozen=True)
class How:
    """Timed turns of every arm, precision and device of what they compute with."""

    turns: int
    dtype: str
    device: torch.device


def interleaved(arms: Mapping[str, Callable[[], Any]], turns: int, label: str, *, warm_up: int = WARM_UP) -> dict:
    """Times by arm; every arm takes its turn in an order drawn anew each time, so that other work falls on all alike.

    Args:
        arms: what is timed, by name.
        turns: of each arm that count.
        label: of the progress bar.
        warm_up: turns before those.
    """
    rng, names = np.random.default_rng(0), list(arms)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    hidden = not console.is_terminal
    for turn in track(range(-warm_up, turns), label, console=console, transient=True, disable=hidden):
        for name in rng.permutation(names):
            wall, processor = time.perf_counter(), time.process_time()
            arms[name]()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            if turn >= 0:
                times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: np.array(values) for name, values in times.items()}


def ratio(ours: Times, theirs: Times) -> dict[str, float]:
    """Ratio of medians, with the 95 % interval of a bootstrap over turns (both arms of a turn together)."""
    rows = np.random.default_rng(0).integers(len(theirs), size=(4000, len(theirs)))
    ratios = np.median(ours[rows], axis=1) / np.median(theirs[rows], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = float(np.median(ours) / np.median(theirs))
    return {"seconds": float(np.median(ours)), "ratio": value, "low": float(low), "high": float(high)}


def ratios(ours: Times, theirs: Times) -> dict[str, dict[str, float]]:
    """:func:`ratio` by clock, of times [turns, 2]."""
    return {clock: ratio(ours[:, i], theirs[:, i]) for i, clock in enumerate(CLOCKS)}


def pays(spent: Sequence[float], saved: float) -> str:
    """After how many turns times spent once, in s, are paid back by the seconds that each turn saves."""
    if saved <= 0:
        return "does not pay in any number of"
    return "pays after " + " and ".join(f"{seconds / saved:.0f}" for seconds in spent)
