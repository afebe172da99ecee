"""Commands of ``key=value`` words: help from the docstring, one line and exit status 2 after bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from scalarfid.errors import ScalarFidError
from scalarfid.log import console, results_console, setup_logging
from scalarfid.memory import keep_freed_memory

BAD_INPUT = 2


def command(text: str | None, arguments: Sequence[str] | None, work: Callable[[list[str], Console], None]) -> int:
    """Do the work of an entry point and return its exit status.

    Args:
        text: shown for ``--help``: the docstring of the entry point's module.
        arguments: words; None for those of the command line.
        work: takes the words and the console of stdout.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    out = results_console()
    if {"-h", "--help"} & set(words):
        out.print(text, markup=False, highlight=False)
        return 0
    setup_logging()
    keep_freed_memory()
    try:
        work(words, out)
    except ScalarFidError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return BAD_INPUT
    return 0


def options_of(words: Sequence[str], defaults: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Options that words give, the defaults for the others, and the words that are none of them."""
    options, others = dict(defaults), []
    for word in words:
        key, equals, value = word.partition("=")
        if key in defaults and equals and value:
            options[key] = value
        else:
            others.append(word)
    return options, others


def show_path(out: Console, path: object) -> None:
    """Print a path as the last line, whole and without colours, for scripts to take up."""
    out.print(str(path), markup=False, highlight=False, soft_wrap=True)
