"""Entry points: a Hydra application whose every mistake ends as one line and exit status 2."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from scalarfid.config.completion import BASH
from scalarfid.config.composing import VERSION_BASE, conf_dir
from scalarfid.config.messages import explain
from scalarfid.config.schema import check, register
from scalarfid.errors import ScalarFidError
from scalarfid.log import console

BAD_INPUT = 2
INTERRUPTED = 130


def launch(
    task: Callable[[DictConfig], None], *, config_name: str = "config", prepare: Callable[[], None] | None = None
) -> int:
    """Run a task as a Hydra application (overrides, ``--cfg job``, ``-m``, completion) and return the exit status.

    Args:
        task: takes the checked configuration; in a sweep it is called once per job, and a job that fails on bad input
            does not keep the others from running.
        config_name: file of ``conf/`` to compose.
        prepare: called before Hydra reads its configuration, to register plugins.
    """
    if "install=bash" in sys.argv and {"-sc", "--shell-completion"} & set(sys.argv):
        sys.stdout.write(BASH)
        return 0

    failures, here = [], os.getpid()

    @functools.wraps(task)
    def checked(cfg: DictConfig) -> None:
        try:
            check(cfg)
            task(cfg)
        except ScalarFidError as error:
            complain(error)
            if os.getpid() != here:  # a launcher's job on its own: its exit status must tell
                raise
            failures.append(error)

    register()
    if prepare is not None:
        prepare()
    application = hydra.main(version_base=VERSION_BASE, config_path=str(conf_dir()), config_name=config_name)(checked)
    try:
        _refuse_a_launcher_without_a_grid(sys.argv[1:])
        with _errors_come_through():
            application()
    except ScalarFidError as error:
        complain(error)
        return error.exit_status
    except (HydraException, OmegaConfBaseException) as error:
        complain(explain(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        console.print("Interrupted; the same command starts again where it can.")
        return INTERRUPTED
    return failures[0].exit_status if failures else 0


def _refuse_a_launcher_without_a_grid(words: Sequence[str]) -> None:
    """Hydra would silently run one cell here."""
    chosen = [word for word in words if word.startswith("hydra/launcher=")]
    if chosen and not {"-m", "--multirun", "--cfg", "-c", "--info", "-i", "--help"} & set(words):
        raise ScalarFidError(f"{chosen[-1]} is for grids; add -m.")


def complain(error: ScalarFidError) -> None:
    """Show an error once, unwrapped, on stderr."""
    if not getattr(error, "shown", False):
        console.print(f"error: {error}", soft_wrap=True, markup=False, highlight=False)
        error.shown = True  # type: ignore[attr-defined]


@contextmanager
def _errors_come_through() -> Iterator[None]:
    """Hydra's own switch that keeps it from printing stack traces and exiting by itself."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR")
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
