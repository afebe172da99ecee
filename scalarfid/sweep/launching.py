"""Hydra's side: a sweeper that composes every cell once, launchers that keep what fails in one cell there."""

from __future__ import annotations

import inspect
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from scalarfid.caught import Caught
from scalarfid.config import compose
from scalarfid.errors import ScalarFidError, check_number
from scalarfid.log import log, setup_logging
from scalarfid.sweep.cells import Cell, expand
from scalarfid.sweep.ends import Attempt, End, report, settled
from scalarfid.sweep.planned import note_planned
from scalarfid.training.directory import HeldError

Task = Callable[[DictConfig], None]
FROM_ZERO = ("gpus_per_node", "mem_gb", "max_num_timeout")
"""Numbers of launchers that may be zero: no GPU, all memory of a node, not put back into the queue."""

WHOLE = (
    "processes", "threads", "nodes", "tasks_per_node", "cpus_per_task", "array_parallelism", "timeout_min",
    "signal_delay_s", "max_num_timeout",
)  # fmt: skip
KINDS = dict.fromkeys(WHOLE, (int, "a whole number")) | {
    "mem_gb": ((int, float), "a number"),
    "setup": (list, "a list of shell lines, ['module load cuda']"),
    "additional_parameters": (dict, "options of sbatch, {exclude: node7}"),
}
"""What options of launchers are, where they are given."""


class Grid(Sweeper):
    """All combinations of the values given, the last word winning; every cell is composed once, by the launcher.

    Args:
        params: words of the configuration (``hydra.sweeper.params``), before those of the command line.
        max_batch_size: of Hydra's own sweeper; a grid is one batch.
    """

    def __init__(self, params: Mapping[str, Any] | None = None, max_batch_size: int | None = None) -> None:  # noqa: ARG002 - Hydra's
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: Task, config: DictConfig) -> None:
        """Make the launcher.

        Raises:
            ScalarFidError: one of its options is of another kind, or a number out of range.
        """
        _check(OmegaConf.to_container(config.hydra.launcher, resolve=True))
        self.parser = OverridesParser.create(config_loader=hydra_context.config_loader)
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        """Launch every combination.

        Raises:
            ScalarFidError: for a range, which has no end.
        """
        chosen: dict[str, list[str]] = {}
        for override in self.parser.parse_overrides(
            [f"{key}={value}" for key, value in self.params.items()] + arguments
        ):
            key = override.get_key_element()
            if not override.is_sweep_override():
                values = [override.get_value_element_as_str()]
            elif override.is_discrete_sweep():
                values = list(override.sweep_string_iterator())
            else:
                raise ScalarFidError(f"{override.input_line} has no finite number of values; list them: {key}=1,2.")
            chosen[key] = [f"{key}={value}" for value in values]
        return self.launcher.launch(list(product(*chosen.values())), 0)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse what a launcher would stumble over: words for numbers, and cores or minutes that are not above zero."""
    for key, value in options.items():
        if key in KINDS and value is not None:
            kind, meant = KINDS[key]
            if isinstance(value, bool) or not isinstance(value, kind):
                raise ScalarFidError(f"hydra.launcher.{key}={value} is not {meant}.")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            check_number(f"hydra.launcher.{key}", value, 0 if key in FROM_ZERO else None)


class GridLauncher(Launcher):
    """Runs the cells of a grid that need it, and says at the end how each ended."""

    def setup(self, *, hydra_context: Any, task_function: Task, config: DictConfig) -> None:  # noqa: ARG002 - Hydra's
        """Take what Hydra gives; of the task what an entry point has wrapped, which raises its errors."""
        self.task, self.config = inspect.unwrap(task_function), config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:  # noqa: ARG002 - Hydra's
        """Run a grid.

        Raises:
            GridError: if a cell did not finish.
        """
        setup_logging()
        cells, ends = expand(job_overrides), []
        note_planned(cells)
        todo = []
        for cell in cells:
            end = settled(cell)
            todo += [cell] if end is None else []
            ends += [] if end is None else [end]
        log.info("%d cells, %d to do.", len(cells), len(todo))
        try:
            for end in self.work(todo):
                ends.append(end)
                log.info("[%d/%d] %s: %s", len(ends), len(cells), end.how, end.cell.name)
                self.show(end)
        except (KeyboardInterrupt, SystemExit):
            with Caught():
                self.conclude(cells, ends)
            raise
        self.conclude(cells, ends)
        return []

    def conclude(self, cells: Sequence[Cell], ends: Sequence[End]) -> None:
        """Say how the cells ended, and raise if some did not finish."""
        report(cells, ends)

    def show(self, end: End) -> None:
        """Write the directory of a finished run to stdout, as the command for a single run does."""
        if end.how == "finished":
            sys.stdout.write(f"{end.cell.path}\n")
            sys.stdout.flush()

    @abstractmethod
    def work(self, cells: Sequence[Cell]) -> Iterator[End]:
        """Run these cells and yield the end of each as it comes."""


class Serial(GridLauncher):
    """One cell after the other in this process."""

    def work(self, cells: Sequence[Cell]) -> Iterator[End]:
        """Run these cells in their order; a signal ends the grid."""
        for cell in cells:
            yield settled(cell) or self._run(cell)

    def show(self, end: End) -> None:
        """The task has done so."""

    def _run(self, cell: Cell) -> End:
        attempt = Attempt.at(cell)
        with Caught() as caught:
            self.task(compose(cell.words))
            return End(cell, "finished")
        if isinstance(caught.error, HeldError):
            return attempt.ended(HeldError.exit_status, "")
        if not isinstance(caught.error, ScalarFidError):
            log.error("%s", caught.text)
        return attempt.ended(1, caught.traceback)
