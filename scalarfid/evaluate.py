"""Errors of a trained potential on a dataset: a table, parity plots and a file with one row per frame.

python -m scalarfid.evaluate model=runs/default/mace-pan+pgs-ethanol-s0-1a2b3c4d
python -m scalarfid.evaluate model=model.safetensors dataset=rmd17 dataset.molecule=aspirin splits=test

Words are key=value:

model       run directory or .safetensors file (required)
dataset, dataset.*
            a set of conf/dataset and its keys; without it, the set that the run was trained on
splits      comma-separated, as in splits=test (all)
dtype       float32 or float64 (as trained)
device      auto, cpu, cuda, cuda:1 (cpu)
batch_edges edges at a time (4000)
out         folder for the results (evaluation/<dataset> in the run directory or beside the file); those of an earlier
            evaluation there are replaced
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from scalarfid.config import CONFIG_FILE, compose, stored_dataset
from scalarfid.data import BATCH_EDGES, Dataset, load
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_text, writing
from scalarfid.log import log, progress
from scalarfid.potential import Potential, device_of
from scalarfid.potential import load as load_potential
from scalarfid.results.plots import parity_plot
from scalarfid.results.predictions import Predictions, predict
from scalarfid.results.summary import write_table
from scalarfid.results.tables import error_table, markdown_table
from scalarfid.training.metrics import Errors, MeanPredictor
from scalarfid.words import command, options_of, show_path

DEFAULTS = {"model": None, "splits": None, "dtype": None, "device": "cpu", "batch_edges": BATCH_EDGES, "out": None}
E0_TOLERANCE = 1e-3
"""eV; energy zeros further apart than this are worth a warning."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation gives: errors by split as metrics are named, in eV and Å, and where the files are."""

    errors: dict[str, dict[str, float]]
    mean_predictor: dict[str, dict[str, float]]
    folder: Path


def evaluate(
    potential: Potential,
    dataset: Dataset,
    folder: str | Path,
    *,
    splits: Sequence[str] | None = None,
    batch_edges: int = BATCH_EDGES,
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Predict every split of a dataset and write ``errors.json``, ``errors.md`` and, by split, a plot and a table.

    Args:
        potential: on ``device``.
        dataset: loaded with the potential's cutoff.
        folder: for the results; made if missing, and rid of those of an earlier evaluation.
        splits: names of those wanted; None for all.
        batch_edges: edges at a time.
        device: of the potential.

    Raises:
        ScalarFidError: an unknown split, an element the potential does not know, a folder that cannot be written.
    """
    folder = Path(folder)
    chosen = _chosen(dataset, splits)
    stress = any(bool(graph.has_stress) for graphs in chosen.values() for graph in graphs)
    baseline = MeanPredictor.of(dataset.train, dataset.e0)
    options = {"batch_edges": batch_edges, "stress": stress, "device": device}
    bar = progress(chosen.items(), "predicting", total=len(chosen))
    predicted = {name: predict(potential, graphs, **options) for name, graphs in bar}
    errors = {name: errors_of(predictions) for name, predictions in predicted.items()}
    mean = {name: baseline.errors(graphs, stress=stress) for name, graphs in chosen.items()}
    _clear(folder)
    for name, predictions in predicted.items():
        parity_plot(folder / f"parity-{name}.png", predictions.points(), title=f"{dataset.title}, {name}")
        write_table(predictions.frames(), folder / f"frames-{name}.csv")
    record = {"dataset": dataset.title, "fingerprint": dataset.fingerprint, "errors": errors, "mean_predictor": mean}
    write_text(folder / "errors.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "errors.md", markdown_table(errors, mean))
    return Evaluation(errors, mean, folder)


def _clear(folder: Path) -> None:
    """Remove plots and tables of an earlier evaluation, perhaps of another file: those its ``errors.json`` names."""
    with writing(folder):
        splits = (read_json(folder / "errors.json") or {}).get("errors")
        for split in splits if isinstance(splits, dict) else ():
            for name in (f"parity-{split}.png", f"frames-{split}.csv"):
                (folder / name).unlink(missing_ok=True)


def errors_of(predictions: Predictions) -> dict[str, float]:
    """Errors under their metric names (``forces_mae`` …) in eV and Å."""
    deltas = {label: torch.from_numpy(delta) for label, delta in predictions.residuals().items()}
    sums = Errors(deltas)
    sums.update(deltas)
    return sums.metrics()


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; the exit status is 0, or 2 after bad input."""
    return command(__doc__, arguments, _show)


def _show(words: list[str], out: Console) -> None:
    result = _run(*_parsed(words))
    out.print(error_table(result.errors, result.mean_predictor))
    log.info("written: errors.json, errors.md, parity-*.png and frames-*.csv, in the folder below")
    show_path(out, result.folder)


def _run(options: Mapping[str, Any], overrides: Sequence[str]) -> Evaluation:
    path = Path(options["model"])
    device = device_of(options["device"])
    potential = load_potential(path)
    potential = potential.with_dtype(options["dtype"] or potential.config["dtype"]).to(device).eval()
    config = _dataset_config(path, overrides)
    switch = potential.config["coordination"]["switch"]
    dataset = load(config, cutoff=potential.cutoff, switch=switch)
    _warn_of_other_zeros(potential, dataset)
    folder = Path(options["out"] or (path if path.is_dir() else path.parent) / "evaluation" / config["name"])
    splits = None if options["splits"] is None else str(options["splits"]).split(",")
    edges = int(options["batch_edges"])
    return evaluate(potential, dataset, folder, splits=splits, batch_edges=edges, device=device)


def _parsed(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Options of this command, and overrides for the configuration of the dataset."""
    options, overrides = options_of(words, DEFAULTS)
    for word in overrides:
        if "=" not in word or word.partition("=")[0].lstrip("+").split(".")[0] != "dataset":
            raise ScalarFidError(f"Cannot use {word!r}: give {', '.join(DEFAULTS)} or dataset… as key=value.")
    if options["model"] is None:
        raise ScalarFidError("No model; give a run directory or a model file as model=….")
    if not str(options["batch_edges"]).isdecimal() or int(options["batch_edges"]) == 0:
        raise ScalarFidError(f"batch_edges={options['batch_edges']} is not a positive whole number of edges.")
    if options["dtype"] not in (None, "float32", "float64"):
        raise ScalarFidError(f"dtype={options['dtype']} is not a choice; there are float32, float64.")
    return options, overrides


def _dataset_config(path: Path, overrides: Sequence[str]) -> Mapping[str, Any]:
    """Configuration of the dataset named in the overrides, else of the one that the run was trained on."""
    if any(word.startswith("dataset=") for word in overrides) or not (path / CONFIG_FILE).is_file():
        if not overrides:
            raise ScalarFidError(f"{path} does not say what it was trained on; name a dataset, as in dataset=ethanol.")
        return compose(overrides).dataset
    if overrides:
        raise ScalarFidError(f"{overrides[0]} changes the run's own dataset; name it too, as in dataset=ethanol.")
    return stored_dataset(path)


def _chosen(dataset: Dataset, splits: Sequence[str] | None) -> dict[str, Sequence[Any]]:
    available = {name: graphs for name, graphs in _all(dataset).items() if len(graphs)}
    unknown = [name for name in splits or () if name not in available]
    if unknown:
        raise ScalarFidError(f"{dataset.title} has no frames in {unknown[0]!r}; there are {', '.join(available)}.")
    return available if splits is None else {name: available[name] for name in splits}


def _all(dataset: Dataset) -> dict[str, Sequence[Any]]:
    return {"train": dataset.train, "val": dataset.val, **dataset.test}


def _warn_of_other_zeros(potential: Potential, dataset: Dataset) -> None:
    known = dict(zip(potential.elements, potential.e0.tolist(), strict=True))
    apart = max((abs(energy - known[z]) for z, energy in dataset.e0.items() if z in known), default=0.0)
    if apart > E0_TOLERANCE:
        log.warning("E0 of %s and the model differ by up to %.3g eV: another energy zero?", dataset.title, apart)


if __name__ == "__main__":
    sys.exit(main())
