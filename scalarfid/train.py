"""``python -m scalarfid.train backbone=allegro probe=pan+pgs dataset=ethanol``: train, or go on, or find it done.

Everything is said on stderr; the last line on stdout is the run directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from scalarfid.config.entry import launch
from scalarfid.errors import ScalarFidError
from scalarfid.log import console, log, setup_logging
from scalarfid.memory import begin_collection, hold_collection, keep_freed_memory
from scalarfid.sweep.plugins import register
from scalarfid.sweep.slurm import requeue
from scalarfid.training.stopping import StopRequest

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

    from scalarfid.physics.watch import SmoothnessWatch
    from scalarfid.training import RunResult

THREADS_PER_CORE = 4
"""At most."""


def train(cfg: DictConfig) -> None:
    """Run one configuration; signals save and stop it."""
    setup_logging()
    keep_freed_memory()
    hold_collection()
    stop = StopRequest()
    try:
        with stop.listening(), contextlib.redirect_stdout(sys.stderr):  # upstream packages print when imported
            result = _run(cfg, stop)
    except KeyboardInterrupt:
        log.warning("Stopped outside of training; the same command begins where the last checkpoint stands.")
        _leave(stop.signum or signal.SIGINT)
    finally:
        begin_collection()
    show(result)
    sys.stdout.write(f"{result.directory}\n")
    sys.stdout.flush()
    if result.signum is not None:
        _leave(result.signum)


def _run(cfg: DictConfig, stop: StopRequest) -> RunResult:
    import torch  # noqa: PLC0415 - completion and --help do without

    from scalarfid.training import run  # noqa: PLC0415

    if cfg.run.threads is not None:
        _refuse_too_many(cfg.run.threads)
        torch.set_num_threads(cfg.run.threads)
    return run(cfg, stop=stop, watch=_watch(cfg), ready=begin_collection)


def _refuse_too_many(threads: int) -> None:
    """Torch dies of thousands of threads, by a signal that leaves the run's state at running."""
    cores = os.cpu_count() or 1
    if threads > THREADS_PER_CORE * cores:
        raise ScalarFidError(
            f"run.threads={threads} is too many; this machine has {cores} cores, give as many or fewer."
        )


def _watch(cfg: DictConfig) -> SmoothnessWatch | None:
    """What is asked while training goes on, if it is wanted."""
    if cfg.run.smoothness is None:
        return None
    from scalarfid.config.messages import to_plain  # noqa: PLC0415 - as above
    from scalarfid.physics.watch import SmoothnessWatch  # noqa: PLC0415

    return SmoothnessWatch.of(to_plain(cfg)["dataset"])


def _leave(signum: int) -> NoReturn:
    """Exit as signalled; a SLURM job that is to make room asks to be started again."""
    requeue(signum)
    sys.exit(128 + signum)


def show(result: RunResult) -> None:
    """Print the errors and the cost of a finished run, or how to go on with an interrupted one."""
    if result.summary is None:
        log.warning("Stopped and saved. The same command continues where it stopped.")
        return
    from scalarfid.results.tables import error_table  # noqa: PLC0415 - imports pandas

    summary = result.summary
    if result.state == "skipped":
        log.info("Finished before; run.force=true does it again.")
    console.print(error_table(summary["metrics"], summary["mean_predictor"]))
    parameters = summary["parameters"]
    log.info(
        "%d + %d parameters (backbone + probe), %d epochs, best %d, %.0f s of training",
        parameters["backbone"], parameters["probe"], summary["epochs"], summary["best_epoch"] + 1,
        summary["training_time_s"],
    )  # fmt: skip
    for plot in parity_plots(result):
        log.info("parity plot: %s", plot)
    log.info("model: %s", result.directory / "model.safetensors")


def parity_plots(result: RunResult) -> list[Path]:
    """Draw predicted against reference values of the test frames, once, in the run's ``diagnostics/``."""
    from scalarfid.potential import load  # noqa: PLC0415 - import torch
    from scalarfid.results.plots import parity_plot  # noqa: PLC0415
    from scalarfid.results.predictions import predict  # noqa: PLC0415

    plots = []
    for name, graphs in result.dataset.test.items():
        plots.append(result.directory / "diagnostics" / f"parity-{name}.png")
        if plots[-1].exists():
            continue
        stress = "stress" in result.dataset.labels
        predictions = predict(load(result.directory), graphs, stress=stress)
        parity_plot(plots[-1], predictions.points(), title=f"{result.summary['name']}, {name}")
    return plots


def main() -> None:
    """Entry point of ``scalarfid-train``."""
    sys.exit(launch(train, prepare=register))


if __name__ == "__main__":
    main()
