"""Where the time of a training step goes, by backbone: which parts, which operations.

    python benchmarks/step_profile.py --output benchmarks/step_profile

Processor time on one thread, medians over steps, of five ethanol molecules (360 edges within 5 Å) with the settings of
``conf/training``; operations by their share of a step's own time in torch.profiler.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch_geometric.data import Batch

from scalarfid.config import compose
from scalarfid.config.messages import to_plain
from scalarfid.data import load
from scalarfid.files import write_text
from scalarfid.memory import keep_freed_memory
from scalarfid.potential import Potential, model_config
from scalarfid.results.tables import markdown
from scalarfid.training.batches import EpochBatches
from scalarfid.training.module import Fitting

PARTS = ("join frames", "energy", "forces", "loss, errors", "gradients", "optimiser", "average", "step")
HEADER = ["backbone, probe", *(f"{part} (ms)" for part in PARTS), "validation, 10 frames (ms)", "operations"]


def milliseconds(call: Callable[[], Any], steps: int) -> float:
    """Median processor time."""
    times = []
    for _ in range(steps + 3):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1e3 * float(np.median(times[3:]))


def line(preset: str, probe: str, steps: int) -> list[str]:
    """A row of the table; parts that contain others are shown without them."""
    config = to_plain(compose([f"backbone={preset}", f"probe={probe}", "dataset=ethanol"]))
    dataset = load(config["dataset"], cutoff=config["model"]["cutoff"])
    potential = Potential.from_config(model_config(config, dataset))
    module = Fitting(potential, config["training"], EpochBatches(dataset.train, 0, 5), dataset.labels)
    optimiser = module.configure_optimizers()
    batch, held_out = Batch.from_data_list(dataset.train[:5]), Batch.from_data_list(dataset.val[:10])

    def step() -> None:
        optimiser.zero_grad()
        module.training_step(batch).backward()
        optimiser.step()
        module.average.update_parameters(potential)

    def gradients() -> None:
        module.training_step(batch).backward()

    calls = {
        "join frames": lambda: Batch.from_data_list(dataset.train[:5]),
        "energy": lambda: potential(batch, forces=False),
        "forces": lambda: potential(batch, create_graph=True),
        "loss, errors": lambda: module.training_step(batch),
        "gradients": gradients,
        "optimiser": optimiser.step,
        "average": lambda: module.average.update_parameters(potential),
        "step": step,
    }
    times = {part: milliseconds(call, steps) for part, call in calls.items()}
    for whole, part in (("gradients", "loss, errors"), ("loss, errors", "forces"), ("forces", "energy")):
        times[whole] -= times[part]
    validation = milliseconds(lambda: module.validation_step(held_out), steps)
    cells = [f"{times[part]:.2f}" for part in PARTS]
    return [f"{preset}, {probe}", *cells, f"{validation:.1f}", operations(step)]


def operations(step: Callable[[], Any]) -> str:
    """The six operations with the largest share of their own time."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(5):
            step()
    events = [e for e in profiler.key_averages() if e.key.startswith("aten::")]
    total = sum(e.self_cpu_time_total for e in profiler.key_averages())
    largest = sorted(events, key=lambda e: -e.self_cpu_time_total)[:6]
    shares = (f"{e.key.removeprefix('aten::')} {100 * e.self_cpu_time_total / total:.0f} %" for e in largest)
    calls = sum(e.count for e in events) / 5
    return f"{', '.join(shares)}; {calls:.0f} calls"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=("mace_small", "nequip_small", "allegro_small"))
    parser.add_argument("--probes", nargs="+", default=("none", "pan+pgs"))
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = [line(backbone, probe, options.steps) for backbone in options.backbones for probe in options.probes]
    head = f"# Profile of a training step\n\n{__doc__.split(chr(10) * 2)[2]}\n"
    head += f"Made by `python benchmarks/step_profile.py`, torch {version('torch')}.\n\n"
    text = head + markdown(HEADER, rows)
    write_text(options.output.with_suffix(".md"), text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
