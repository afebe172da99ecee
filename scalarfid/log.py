"""One logger, one console, one progress bar for the whole package (all on stderr; stdout is for results)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import track

T = TypeVar("T")

UNCUT = 10_000
"""Columns for files and pipes: more than any table has."""

console = Console(stderr=True)
log = logging.getLogger("scalarfid")


class _Lines(logging.Handler):
    """One unwrapped line a message, for files and pipes, where a terminal's width would break paths in two."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(self.format(record), soft_wrap=True, markup=False, highlight=False)


def setup_logging(level: int = logging.INFO) -> None:
    """Attach a handler to the package logger, once per process: rich's on a terminal, plain lines elsewhere."""
    if not log.handlers:
        handler = RichHandler(console=console, show_path=False, show_time=False, markup=False)
        if not console.is_terminal:
            handler = _Lines()
            handler.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))
        log.addHandler(handler)
        log.propagate = False
    log.setLevel(level)


def results_console() -> Console:
    """The console of stdout: as wide as the terminal, and wide enough elsewhere that no path in a table is cut."""
    out = Console()
    if not out.is_terminal:
        out.width = UNCUT
    return out


def progress(items: Iterable[T], description: str, *, total: int | None = None, disable: bool = False) -> Iterator[T]:
    """Iterate with a progress bar on stderr; silent when stderr is not a terminal or ``disable`` is true."""
    hidden = disable or not console.is_terminal
    yield from track(items, description, total=total, console=console, transient=True, disable=hidden)
