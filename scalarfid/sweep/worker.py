"""What runs in a process of its own for one cell: the command of a single run, with the cell's overrides."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from scalarfid.training.directory import HeldError

COMMAND = "scalarfid.train"


def command(words: list[str]) -> None:
    """Do what ``python -m scalarfid.train <words>`` does, the exit included."""
    sys.argv = [COMMAND, *words]
    import_module(COMMAND).main()


def command_to_file(words: list[str], file: str) -> None:
    """The same in a process group of its own (a terminal's Ctrl-C is for the launcher), its output added to a file."""
    os.setpgid(0, 0)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    command(words)


class Job:
    """A SLURM job of submitit's: returns the exit status if the cell is done with, else exits with it."""

    def __call__(self, words: list[str]) -> int:
        """Run a cell."""
        try:
            command(words)
        except SystemExit as end:
            if end.code not in (None, 0, HeldError.exit_status):
                raise
            return end.code or 0
        return 0

    def checkpoint(self, words: list[str]) -> Any:
        """What to run when the job is put back into the queue: the same."""
        from submitit.helpers import DelayedSubmission  # noqa: PLC0415 - an optional package

        return DelayedSubmission(self, words)
