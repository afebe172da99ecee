"""Make a potential: from names, from a run's configuration, from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ase.data import atomic_numbers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from scalarfid.errors import ScalarFidError
from scalarfid.files import usual_mode
from scalarfid.potential.core import Potential, normalise

if TYPE_CHECKING:
    from scalarfid.data import Dataset

FORMAT = "scalarfid-1"
MAX_Z = 118
MODEL_FILE = "model.safetensors"


def model_config(cfg: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Join a run's configuration with the numbers its training data give.

    E0 per element, s = RMS training force in eV/Å (used as eV: x_i is then of order one), the mean number of neighbours
    and ⟨c⟩ per element come from the dataset; everything else from the configuration.
    """
    model, statistics = cfg["model"], dataset.statistics
    return normalise(
        {
            "backbone": cfg["backbone"],
            "probe": cfg["probe"],
            "cutoff": model["cutoff"],
            "dtype": model["dtype"],
            "zbl": model["zbl"],
            "coordination": model["coordination"],
            "elements": dataset.elements,
            "e0": dataset.e0,
            "scale": statistics.rms_force,
            "mean_neighbours": statistics.mean_neighbours,
            "mean_coordination": statistics.mean_coordination,
            "seed": cfg["seed"],
        }
    )


def build(
    backbone: str = "mace_small",
    probe: str = "none",
    elements: Sequence[str | int] = (),
    *,
    e0: Mapping[str | int, float] | None = None,
    scale: float = 1.0,
    mean_neighbours: float = 20.0,
    mean_coordination: Mapping[str | int, float] | None = None,
    seed: int = 0,
    overrides: Sequence[str] = (),
    **model: Any,
) -> Potential:
    """Build an untrained potential by the names of its configuration files.

    Args:
        backbone: a file of ``conf/backbone/``, e.g. ``"allegro_small"``.
        probe: a file of ``conf/probe/``, e.g. ``"pan+pgs"``.
        elements: symbols or atomic numbers.
        e0: isolated-atom energies in eV, 0 where not given.
        scale: s in eV.
        mean_neighbours: mean number of neighbours, for the normalisation of messages.
        mean_coordination: ⟨c⟩ per element; 1 where not given.
        seed: of backbone and probe weights.
        overrides: further Hydra overrides, e.g. ``["probe.pan.hidden=32"]``.
        **model: keys of the ``model`` group: ``cutoff`` in Å, ``dtype``, ``zbl``.

    Raises:
        ScalarFidError: for an unknown name, element or option.

    """
    from scalarfid.config import compose  # noqa: PLC0415 - imports Hydra

    if not elements:
        raise ScalarFidError("No elements given; name those the potential is for, e.g. elements=['Ag'].")
    choices = [f"backbone={backbone}", f"probe={probe}", f"seed={seed}"]
    cfg = compose([*choices, *(f"model.{key}={value}" for key, value in model.items()), *overrides])
    return Potential.from_config(
        {
            "backbone": cfg.backbone,
            "probe": cfg.probe,
            **{key: cfg.model[key] for key in ("cutoff", "dtype", "zbl", "coordination")},
            "elements": [atomic_number(element) for element in elements],
            "e0": by_number(e0),
            "scale": scale,
            "mean_neighbours": mean_neighbours,
            "mean_coordination": by_number(mean_coordination),
            "seed": seed,
        }
    )


def save(potential: Potential, path: str | Path) -> None:
    """Write one safetensors file with the configuration as YAML in its metadata; atomic, equal potentials equal bytes.

    The metadata has one entry, named after the format: safetensors writes several in random order.
    """
    path = Path(path)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in potential.state_dict().items()}
    metadata = {FORMAT: yaml.safe_dump(potential.config, sort_keys=False)}
    partial = path.with_name(f".{path.name}.partial")
    with usual_mode(partial):
        save_file(state, partial, metadata=metadata)
    partial.replace(path)


def load(path: str | Path) -> Potential:
    """Load a potential from a run directory or a model file, ready for evaluation; nothing is unpickled.

    Raises:
        ScalarFidError: if there is no such file, or it is not one of ours.

    """
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        hint = "the run has not finished a validation yet" if path.is_dir() else "give a run directory or a model file"
        raise ScalarFidError(f"No model at {file}; {hint}.")
    try:
        with safe_open(file, framework="pt") as handle:
            metadata = handle.metadata() or {}
            state = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise ScalarFidError(
            f"{file} is not a safetensors file or is damaged ({error}); train or copy it again."
        ) from error
    two_entries = metadata.get("format") == FORMAT  # as files once had
    config = metadata.get("config" if two_entries else FORMAT)
    if config is None:
        raise ScalarFidError(f"{file} was not written by scalarfid (no {FORMAT!r} in its metadata: {list(metadata)}).")
    potential = Potential.from_config(yaml.safe_load(config))
    try:
        potential.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ScalarFidError(f"{file} does not hold the tensors that its configuration asks for: {reason}") from error
    return potential.eval()


def atomic_number(element: str | int) -> int:
    """Atomic number of a symbol or of itself."""
    if isinstance(element, str):
        if element not in atomic_numbers:
            raise ScalarFidError(f"Unknown element {element!r}; give chemical symbols such as 'Ag' or atomic numbers.")
        return atomic_numbers[element]
    if not 1 <= int(element) <= MAX_Z:
        raise ScalarFidError(f"Unknown element {element}; atomic numbers go from 1 to {MAX_Z}.")
    return int(element)


def by_number(table: Mapping[str | int, float] | None) -> dict[int, float]:
    """Key a per-element table by atomic number."""
    return {atomic_number(element): float(value) for element, value in (table or {}).items()}
