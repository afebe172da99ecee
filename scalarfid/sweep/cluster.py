"""A grid as a SLURM array: by submitit, or as a plain script for ``sbatch``."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

from scalarfid.errors import ScalarFidError
from scalarfid.files import write_text
from scalarfid.log import log
from scalarfid.sweep.cells import Cell, with_threads
from scalarfid.sweep.ends import Attempt, End
from scalarfid.sweep.launching import GridLauncher
from scalarfid.sweep.parallel import tail
from scalarfid.sweep.slurm import queue
from scalarfid.sweep.worker import COMMAND, Job

SHARED = (
    "name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "stderr_to_stdout",
)  # fmt: skip
"""Parameters that submitit knows under the same name for every kind of cluster."""
SHORTEST, LONGEST = 1.0, 15.0
"""Seconds between two looks at the queue, growing from one to the other."""


class OnCluster(GridLauncher):
    """Launchers that describe a SLURM array, by the keys of ``conf/hydra/launcher``."""

    def __init__(self, **parameters: Any) -> None:
        plain = {key: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for key, v in parameters.items()}
        self.parameters = {key: value for key, value in plain.items() if value is not None}

    def words(self, cell: Cell) -> list[str]:
        """Overrides of a cell, with as many threads as the job has cores."""
        return with_threads(cell, self.parameters.get("cpus_per_task"))


class Slurm(OnCluster):
    """One array of SLURM jobs, submitted by submitit and watched until the last has left the queue.

    hydra-submitit-launcher, whose keys these are, awaits its jobs in order, ends with the first that failed, and waits
    for ever for one that was cancelled where SLURM keeps no accounts. Here the queue is asked, for all jobs together.
    """

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:
        """Submit these cells and wait for them; jobs go on when the launcher is stopped."""
        if not cells:
            return
        attempts = [Attempt.at(cell) for cell in cells]
        jobs = self._submitted([self.words(cell) for cell in cells])
        log.info("SLURM has %d jobs, %s to %s; logs in %s", len(jobs), jobs[0].job_id, jobs[-1].job_id,
                 jobs[0].paths.folder.parent)  # fmt: skip
        try:
            yield from _watch(dict(zip(jobs, attempts, strict=True)))
        except KeyboardInterrupt:
            array = jobs[0].job_id.partition("_")[0]
            log.warning("The jobs go on without the launcher; `scancel %s` stops them.", array)
            raise

    def _submitted(self, words: Sequence[list[str]]) -> list[Any]:
        """The jobs of an array.

        Raises:
            ScalarFidError: SLURM is not there or does not take them, with its message, which submitit also prints.
        """
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                return self._executor().map_array(Job(), words)
        except RuntimeError as error:
            said = "; ".join(str(error).splitlines())
            raise ScalarFidError(f"sbatch refused: {said}; hydra/launcher=sbatch writes the script instead.") from error

    def _executor(self) -> Any:
        submitit, own = _submitit(), dict(self.parameters)
        folder, timeouts = own.pop("submitit_folder"), own.pop("max_num_timeout")
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=timeouts)
        executor.update_parameters(**{key if key in SHARED else f"slurm_{key}": value for key, value in own.items()})
        return executor


def _submitit() -> ModuleType:
    try:
        return import_module("submitit")
    except ModuleNotFoundError:
        raise ScalarFidError(
            "hydra/launcher=slurm needs submitit; pip install 'scalarfid[slurm]', or hydra/launcher=sbatch."
        ) from None


def _watch(waiting: dict[Any, Attempt]) -> Iterator[End]:
    """Yield the end of every job: when its result is there, or when the queue was twice without it."""
    pause, absent = SHORTEST, set()
    while waiting:
        time.sleep(pause)
        pause = min(1.2 * pause, LONGEST)
        try:
            queued = queue({job.job_id.partition("_")[0] for job in waiting})
        except ConnectionError as error:
            log.warning("%s; waiting", error)
            continue
        for job in list(waiting):
            if job.paths.result_pickle.exists():
                yield waiting.pop(job).ended(*_result(job))
            elif job.job_id in queued:
                absent.discard(job)
            elif job in absent:
                text = tail(job.paths.stderr) or f"SLURM job {job.job_id} left the queue before it began"
                yield waiting.pop(job).ended(None, text)
            else:
                absent.add(job)


def _result(job: Any) -> tuple[int, str]:
    """Exit status and traceback of a job that left a result."""
    error = job.exception()
    return (job.result(), "") if error is None else (1, str(error))


class Sbatch(OnCluster):
    """Writes the array as a script for ``sbatch`` and a list of cells; submits nothing."""

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:
        """Write both files and say how to submit them."""
        yield from ()
        if not cells:
            return
        folder = Path(self.config.hydra.sweep.dir).resolve() / f"sbatch-{time.strftime('%Y%m%d-%H%M%S')}"
        listed = "".join(shlex.join(self.words(cell)) + "\n" for cell in cells)
        write_text(folder / "cells.txt", listed)
        script = write_text(folder / "array.sbatch", self._script(folder, len(cells)))
        log.info("%d cells in %s; submit them with", len(cells), folder / "cells.txt")
        sys.stdout.write(f"sbatch {shlex.quote(str(script))}\n")

    def conclude(self, cells: Sequence[Cell], ends: Sequence[End]) -> None:
        """Nothing has run, so there is nothing to say."""

    def _script(self, folder: Path, count: int) -> str:
        lines = [f"#SBATCH --{_flag(key)}={shlex.quote(str(value))}" for key, value in self._options(folder, count)]
        setup = self.parameters.get("setup", [])
        return "\n".join([
            "#!/usr/bin/env bash",
            f"# {count} runs, one per line of cells.txt. Submitted again, it does what is missing.",
            *lines,
            "#SBATCH --requeue",
            "set -euo pipefail",
            f"cd {shlex.quote(str(Path.cwd()))}",
            *setup,
            f"mapfile -t cells < {shlex.quote(str(folder / 'cells.txt'))}",
            'eval "words=(${cells[$SLURM_ARRAY_TASK_ID]})"',
            f'exec srun --unbuffered {shlex.quote(sys.executable)} -m {COMMAND} "${{words[@]}}"',
            "",
        ])  # fmt: skip

    def _options(self, folder: Path, count: int) -> Iterator[tuple[str, Any]]:
        own = dict(self.parameters)
        yield "array", f"0-{count - 1}%{own.pop('array_parallelism')}"
        yield "signal", f"USR2@{own.pop('signal_delay_s')}"
        yield "output", folder / "%A_%a.log"
        yield "open_mode", "append"
        yield "time", own.pop("timeout_min")
        if "mem_gb" in own:
            yield "mem", f"{own.pop('mem_gb')}G"
        yield "job_name", own.pop("name")
        own.pop("setup", None)
        yield from own.pop("additional_parameters", {}).items()
        yield from own.items()


def _flag(key: str) -> str:
    return key.replace("_", "-")
