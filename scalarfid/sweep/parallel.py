"""Several cells at a time on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from scalarfid.log import log
from scalarfid.memory import ask_for_huge_pages
from scalarfid.sweep.cells import Cell, with_threads
from scalarfid.sweep.ends import Attempt, End, settled
from scalarfid.sweep.launching import GridLauncher
from scalarfid.sweep.slurm import requeue
from scalarfid.sweep.worker import command_to_file
from scalarfid.training.stopping import StopRequest

PRELOAD = ["scalarfid.training.running", "scalarfid.potential", "scalarfid.results.plots"]
"""Imported once, by a server that every cell's process is forked from."""
TAIL = 8000
"""Characters of a log that are kept as the error of a cell that recorded none itself."""


class Parallel(GridLauncher):
    """One process per cell, so many at a time.

    Args:
        processes: at a time; None: as many as the cores allow.
        threads: of each.
    """

    def __init__(self, processes: int | None, threads: int) -> None:
        self.threads = threads
        self.processes = processes or max(1, cores() // threads)

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:
        """Run these cells; a signal is passed on to those that run, which save and stop."""
        waiting, running, stop, told = deque(cells), {}, StopRequest(), False
        try:
            with stop.listening(), stop.arm():
                while running or (waiting and stop.signum is None):
                    if stop.signum is None:
                        yield from self._fill(waiting, running)
                    elif not told:
                        told = _pass_on(stop.signum, running)
                    yield from self._collect(running)
        finally:
            for process in running:
                process.terminate()
        if stop.signum is not None:
            requeue(stop.signum)
            sys.exit(128 + stop.signum)

    def _fill(self, waiting: deque[Cell], running: dict[ForkServerProcess, Attempt]) -> Iterator[End]:
        """Start cells as long as there are processes to spare; yield those that need none any more."""
        ask_for_huge_pages()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        while waiting and len(running) < self.processes:
            cell = waiting.popleft()
            end = settled(cell)
            if end is not None:
                yield end
                continue
            words = with_threads(cell, self.threads)
            attempt, arguments = Attempt.at(cell), (words, str(self._log_of(cell)))
            process = context.Process(target=command_to_file, args=arguments, name=cell.name)
            process.start()
            running[process] = attempt
            log.info("started %s, process %d, log %s", cell.name, process.pid, self._log_of(cell))

    def _log_of(self, cell: Cell) -> Path:
        return Path(self.config.hydra.sweep.dir) / "logs" / f"{cell.name}.log"

    def _collect(self, running: dict[ForkServerProcess, Attempt]) -> Iterator[End]:
        """Wait up to a second for a process to end; yield the ends of those that did."""
        wait([process.sentinel for process in running], timeout=1)
        for process in [process for process in running if not process.is_alive()]:
            attempt = running.pop(process)
            yield attempt.ended(process.exitcode, tail(self._log_of(attempt.cell)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tail(file: Path) -> str:
    """Return the last characters of a log, empty if there is none."""
    return file.read_text(encoding="utf-8", errors="replace")[-TAIL:] if file.is_file() else ""


def _pass_on(signum: int, processes: Iterable[ForkServerProcess]) -> bool:
    """Signal every process that is still there."""
    for process in processes:
        if process.is_alive():
            os.kill(process.pid, signum)
    return True
