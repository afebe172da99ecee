"""Where molecular dynamics is kept: a model's runs in its own folder, a reference's once for all models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase import Atoms

from scalarfid.data.cache import cache_folder
from scalarfid.files import digest, locked
from scalarfid.physics.surface import OfReference, Surface
from scalarfid.physics.systems import System

RUNNERS = ("dynamics.py", "microcanonical.py")
"""Files here that make a run: what they made before a change is not what they make now."""


@dataclass(frozen=True)
class Store:
    """Of the runs of one question to one model.

    Attributes:
        system: its cache holds what in-process reference potentials have said.
        work: folder of the question; None keeps nothing there.
    """

    system: System
    work: Path | None = None

    def place(self, surface: Surface, name: str, start: Atoms, course: Any) -> Path | None:
        """A path for the file of a run, None where nothing is kept.

        Args:
            surface: that runs; an in-process reference's runs lie beside what else it has said, for every model.
            name: of the file in ``work``.
            start: without velocities.
            course: dataclass of everything else that makes the run.
        """
        answers = answers_of(surface, self.system)
        if answers is not None:
            return answers / f"{run_mark(start, course)}{Path(name).suffix}"
        return None if self.work is None else self.work / name


def answers_of(surface: Surface, system: System) -> Path | None:
    """Folder of what an in-process reference potential has said, beside the set's other caches; None for others."""
    return cache_folder(system.cache) / "answers" / surface.mark if isinstance(surface, OfReference) else None


def run_mark(start: Atoms, course: Any) -> str:
    """What identifies a run of a known surface: a hash of its start, its course, and the code that runs it."""
    code = [digest(Path(__file__).with_name(name)) for name in RUNNERS]
    content = [repr((course, code, version("ase"))).encode(), start.pbc.tobytes()]
    content += [part.tobytes() for part in (start.numbers, start.positions, start.cell.array)]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


@contextmanager
def held(path: Path | None) -> Iterator[None]:
    """Keep other processes from running the same, that wait and then find it done; nothing to do without a path."""
    if path is None:
        yield
        return
    with locked(path):
        yield
