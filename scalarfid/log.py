"""One logger, one console, one progress bar for the whole package (all on stderr; stdout is for results)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import track

T = TypeVar("T")

console = Console(stderr=True)
log = logging.getLogger("scalarfid")


def setup_logging(level: int = logging.INFO) -> None:
    """Attach the rich handler to the package logger, once per process."""
    if not log.handlers:
        handler = RichHandler(console=console, show_path=False, show_time=False, markup=False)
        log.addHandler(handler)
        log.propagate = False
    log.setLevel(level)


def progress(items: Iterable[T], description: str, *, total: int | None = None, disable: bool = False) -> Iterator[T]:
    """Iterate with a progress bar on stderr; silent when stderr is not a terminal or ``disable`` is true."""
    hidden = disable or not console.is_terminal
    yield from track(items, description, total=total, console=console, transient=True, disable=hidden)
