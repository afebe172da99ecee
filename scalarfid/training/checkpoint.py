"""Checkpoints: tensors and plain Python, read with ``weights_only=True``, written under another name and renamed."""

from __future__ import annotations

import math
import pickle
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from scalarfid.errors import ScalarFidError
from scalarfid.potential import Potential
from scalarfid.training.module import Best, Fitting
from scalarfid.training.schedule import Patience

FORMAT = "scalarfid-checkpoint-1"
LAST, BEST = "last.ckpt", "best.ckpt"
DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError, UnicodeDecodeError)
"""What torch raises for a file that is cut off, written over, or holds code."""


@dataclass(frozen=True)
class Times:
    """Seconds of training so far: by the clock, and of this process's processors; None where that was not kept."""

    elapsed: float
    processor: float | None


def state_of(module: Fitting, optimizer: torch.optim.Optimizer, config: dict[str, Any], times: Times) -> dict:
    """Everything a run needs to continue as if it had never stopped.

    Args:
        module: between two batches, or between two epochs.
        optimizer: the module's.
        config: of the run, stored as YAML.
        times: of training so far.
    """
    return {
        "format": FORMAT,
        "config": yaml.safe_dump(config, sort_keys=False),
        "potential": yaml.safe_dump(module.potential.config, sort_keys=False),
        **module.batches.state_dict(),
        "step": module.step,
        "stopped": module.stopped,
        "model": module.potential.state_dict(),
        "ema": None if module.average is None else module.average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plateau": module.plateau.state_dict(),
        "early_stopping": module.stopping.state_dict(),
        "best": asdict(module.best),
        "sums": module.sums.state_dict(),
        "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        **asdict(times),
    }


def write(state: dict[str, Any], path: Path) -> None:
    """Save a checkpoint so that the file at ``path`` is always a whole one."""
    partial = path.with_name(f".{path.name}.partial")
    torch.save(state, partial)
    partial.replace(path)


def duplicate(path: Path, other: Path) -> None:
    """Copy a checkpoint to another name; the file there is always a whole one."""
    partial = other.with_name(f".{other.name}.partial")
    shutil.copyfile(path, partial)
    partial.replace(other)


def read(path: Path) -> dict[str, Any]:
    """Load a checkpoint without unpickling code.

    Raises:
        ScalarFidError: if it is missing, damaged, or not ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, NotADirectoryError):
        raise ScalarFidError(f"No checkpoint at {path}; that run has not validated yet, or it is not a run.") from None
    except DAMAGE as error:
        again = "its run again at epoch 0"
        best = f"start {again} with run.force=true"  # without it, nothing could be evaluated
        remedy = f"remove it to start {again}, as run.force=true does" if path.name == LAST else best
        raise ScalarFidError(f"{path} is damaged; {remedy}.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ScalarFidError(f"{path} is not a checkpoint of this version ({FORMAT}); redo with run.force=true.")
    return state


def restore(module: Fitting, state: dict[str, Any]) -> None:
    """Put a checkpoint's weights, counters and sums into a module; the optimiser follows when it exists."""
    _load(module.potential, state["model"])
    if module.average is not None and state["ema"] is not None:
        _load(module.average, state["ema"])
    module.batches.load_state_dict({"epoch": state["epoch"], "batch": state["batch"]})
    module.step, module.stopped = state["step"], state["stopped"]
    module.plateau = Patience(**state["plateau"])
    module.stopping = Patience(**state["early_stopping"])
    module.best = Best(**state["best"])
    module.sums.load_state_dict(state["sums"])


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put back moments and generators, as the last thing before training goes on."""
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"]["cpu"])
    if len(state["rng"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["rng"]["cuda"])


def restore_best(module: Fitting, path: Path) -> Potential:
    """Put the weights of the best validation back and return the potential that has them, ready for evaluation."""
    state = read(path)
    _load(*((module.potential, state["model"]) if module.average is None else (module.average, state["ema"])))
    return module.evaluated.eval()


def start_from(module: Fitting, state: dict[str, Any], origin: Path) -> None:
    """Continue another run's training in a new one; what was best starts anew, for the loss may be another one.

    Raises:
        ScalarFidError: if the potential is another one, or no epochs are left.
    """
    theirs, ours = yaml.safe_load(state["potential"]), module.potential.config
    different = [key for key in ours if key != "seed" and theirs.get(key) != ours[key]]
    if different:
        key = different[0]
        raise ScalarFidError(
            f"training.resume_from={origin}: its potential has {key}={theirs.get(key)}, this one {ours[key]}; "
            "they must be the same."
        )
    if state["epoch"] >= module.settings["max_epochs"]:
        raise ScalarFidError(
            f"training.resume_from={origin} has done {state['epoch']} epochs; training.max_epochs="
            f"{module.settings['max_epochs']} leaves nothing to do."
        )
    before = yaml.safe_load(state["config"])["training"]
    same_batches = all(before.get(key) == module.settings[key] for key in ("batch_size", "batch_edges"))
    place = {} if same_batches else {"batch": 0}
    restore(module, state | place | {"stopped": False, "best": asdict(Best()), "early_stopping": {}})
    module.plateau.best = math.inf


def _load(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ScalarFidError(f"The checkpoint does not fit the potential: {reason}") from error
