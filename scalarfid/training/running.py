"""A run from configuration to summary: load, find or make its directory, fit, evaluate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import DictConfig

from scalarfid.config import run_hash, run_path
from scalarfid.config.messages import to_plain
from scalarfid.data import Dataset, check_weights, load
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_json
from scalarfid.log import log, progress
from scalarfid.potential import Potential, device_of, model_config
from scalarfid.seeds import derive_seed
from scalarfid.training import checkpoint
from scalarfid.training.batches import EpochBatches
from scalarfid.training.binned import BinnedErrors
from scalarfid.training.directory import Interrupted, RunDirectory, slurm_job
from scalarfid.training.display import Display
from scalarfid.training.fitting import fit
from scalarfid.training.history import History
from scalarfid.training.loss import given_weights
from scalarfid.training.metrics import MeanPredictor, errors_of
from scalarfid.training.mirror import Mirror
from scalarfid.training.module import Fitting
from scalarfid.training.provenance import code_version, commit
from scalarfid.training.recorder import Recorder, Stopper
from scalarfid.training.report import announce, summarise
from scalarfid.training.smoothness import Smoothness, Watch
from scalarfid.training.stopping import StopRequest

SUMMARY = "summary.json"


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        directory: of the run.
        state: ``finished`` now, ``skipped`` because it was finished before, or ``interrupted``.
        summary: what ``summary.json`` holds, None after an interruption.
        dataset: the frames it was trained and tested on, None after an interruption.
        signum: the signal that interrupted it.
    """

    directory: Path
    state: str
    summary: dict[str, Any] | None = None
    dataset: Dataset | None = None
    signum: int | None = None


def run(
    cfg: DictConfig,
    *,
    stop: StopRequest | None = None,
    watch: Watch | None = None,
    ready: Callable[[], None] = lambda: None,
) -> RunResult:
    """Train what a configuration describes, or go on with it, or find it finished.

    Args:
        cfg: of :func:`scalarfid.config.compose` or a Hydra application.
        stop: asks for an orderly end; signals are the caller's business.
        watch: asked at every ``run.smoothness``-th validation, for columns of ``metrics.csv``; it changes no number.
        ready: called when everything is built, before the first step.

    Raises:
        ScalarFidError: for anything in the configuration or the data that cannot be used.
    """
    config = to_plain(cfg)
    dataset = _load_dataset(config)
    digest = run_hash(config, fingerprint=dataset.fingerprint, e0=dataset.e0)
    path = run_path(config, digest)
    try:
        with RunDirectory(path) as directory:
            summary = read_json(path / SUMMARY)
            finished = directory.recorded().get("state") == "finished" and summary is not None
            if finished and not config["run"]["force"]:
                return RunResult(path, "skipped", summary, dataset)
            with _own_generators(config["seed"]):
                summary = _train(config, dataset, directory, digest, stop or StopRequest(), watch=watch, ready=ready)
    except Interrupted as interrupted:
        return RunResult(path, "interrupted", signum=interrupted.signum)
    return RunResult(path, "finished", summary, dataset)


def _load_dataset(config: Mapping[str, Any]) -> Dataset:
    model, settings = config["model"], config["training"]
    switch = model["coordination"]["switch"]
    dataset = load(config["dataset"], cutoff=model["cutoff"], seed=config["seed"], switch=switch)
    for stage in {0, settings["stage_two"]["from_epoch"] or 0}:
        check_weights(dataset, **given_weights(settings, stage))
    for split in ("train", "val"):
        if not getattr(dataset, split):
            raise ScalarFidError(f"{dataset.title} has no {split} frames; set dataset.n_{split} to 1 or more.")
    return dataset


@contextmanager
def _own_generators(seed: int) -> Iterator[None]:
    """Seed torch's generators for the duration; the caller's are afterwards what they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, "training"))
        yield


def _train(
    config: dict[str, Any],
    dataset: Dataset,
    directory: RunDirectory,
    digest: str,
    stop: StopRequest,
    *,
    watch: Watch | None,
    ready: Callable[[], None],
) -> dict[str, Any]:
    """Everything that can be wrong is found before the first file is written."""
    device = device_of(config["run"]["device"], "run.device")
    potential = Potential.from_config(model_config(config, dataset))
    sizes = {key: config["training"][key] for key in ("batch_size", "batch_edges")}
    batches = EpochBatches(dataset.train, config["seed"], **sizes)
    compiles = config["run"]["compile"]
    module = Fitting(potential, config["training"], batches, dataset.labels, compiles=compiles)
    anew = config["run"]["force"] and not _requeued(directory)
    resumed = _resume(module, config, directory, anew=anew)
    announce(config, dataset, potential, str(device), directory.path)
    facts = {"hash": digest, "commit": commit(), "code": code_version()}  # now: sources may change while it trains
    directory.begin(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), anew=anew, **facts)
    history = History(directory.path / "metrics.csv", dataset.labels, watch.columns if watch else ())
    recorder = Recorder(directory, config, history, resumed)
    mirror = Mirror(directory, config, recorder) if config["logger"]["name"] == "wandb" else None
    directory.settle()
    display = Display(recorder, bar=config["run"]["progress"])
    watching = [Smoothness(recorder, watch, config["run"]["smoothness"])] if watch else []
    callbacks = [*watching, recorder, display, *([mirror] if mirror else []), Stopper(recorder, stop)]
    summary = None
    ready()
    try:
        if not module.finished:
            with stop.arm():
                fit(module, dataset, callbacks, device=device, workers=config["run"]["workers"], root=directory.path)
        display.close()
        summary = _conclude(config, dataset, directory, module, times=recorder.times, device=device)
    finally:
        display.close()
        if mirror is not None:
            mirror.close(summary)
    return summary


def _requeued(directory: RunDirectory) -> bool:
    """Whether this is the SLURM job that began the run by force, started again: it goes on where it was."""
    status, job = directory.recorded(), slurm_job()
    return job is not None and status.get("slurm_job") == job and status.get("state") != "finished"


def _resume(module: Fitting, config: Mapping[str, Any], directory: RunDirectory, *, anew: bool) -> dict | None:
    """Restore the run's own last checkpoint, else the one that ``training.resume_from`` names."""
    last, origin = directory.checkpoints / checkpoint.LAST, config["training"]["resume_from"]
    if last.is_file() and not anew:
        state = checkpoint.read(last)
        checkpoint.restore(module, state)
        log.info("Resuming at epoch %d, batch %d.", state["epoch"] + 1, state["batch"])
        return state
    if origin is not None:
        state = checkpoint.read(Path(origin) / "checkpoints" / checkpoint.LAST)
        checkpoint.start_from(module, state, Path(origin))
        log.info("Starting from %s after %d epochs.", origin, state["epoch"])
        return state
    return None


def _conclude(
    config: Mapping[str, Any],
    dataset: Dataset,
    directory: RunDirectory,
    module: Fitting,
    *,
    times: checkpoint.Times,
    device: torch.device,
) -> dict[str, Any]:
    """Errors of the best model on every split; the test frames are looked at here and nowhere else."""
    began = time.monotonic()
    potential = checkpoint.restore_best(module, directory.checkpoints / checkpoint.BEST).to(device)
    splits = {"train": dataset.train, "val": dataset.val, **dataset.test}
    stress, edges = "stress" in dataset.labels, config["training"]["eval_batch_edges"]
    baseline = MeanPredictor.of(dataset.train, dataset.e0)
    bar = progress(splits.items(), "errors", total=len(splits), disable=not config["run"]["progress"])
    binned = {name: BinnedErrors(config["model"]["cutoff"]) for name in dataset.test}
    options = {"batch_edges": edges, "stress": stress, "device": device}
    metrics = {k: errors_of(potential, graphs, binned=binned.get(k), **options) for k, graphs in bar}
    summary = summarise(
        config, dataset, potential, directory,
        metrics=metrics,
        mean_predictor={name: baseline.errors(graphs, stress=stress) for name, graphs in splits.items()},
        binned={name: errors.compute() for name, errors in binned.items()},
        epochs=module.batches.epoch,
        best_epoch=module.best.epoch,
        stopped_early=module.stopped,
        training_time_s=times.elapsed,
        processor_time_s=times.processor,
        evaluation_time_s=time.monotonic() - began,
    )  # fmt: skip
    directory.check_ours()
    write_json(directory.path / SUMMARY, summary)
    return summary
