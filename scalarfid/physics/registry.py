"""The table of diagnostics. A new one is a file in this folder and a file in ``conf/physics``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from scalarfid.errors import ScalarFidError
from scalarfid.physics.options import Options
from scalarfid.physics.outcome import Draw, Outcome
from scalarfid.physics.surface import OfReference, Surface
from scalarfid.physics.systems import System

Measure = Callable[..., Outcome]


@dataclass(frozen=True)
class Diagnostic:
    """A question to a surface.

    Attributes:
        name: of the question, of its file here and of its options in ``conf/physics``.
        options: dataclass of its options.
        measure: asks; maps (model, reference or None, system, options) to an outcome.
        draw: fills a figure from an outcome.
        needs: what it cannot do without: ``reference``, ``crystal``, ``molecule``, ``structure`` (either of the two).
        resumes: whether ``measure`` also takes ``work=``, a folder that keeps unfinished work between calls.
    """

    name: str
    options: type[Options]
    measure: Measure
    draw: Draw
    needs: frozenset[str]
    resumes: bool = False

    @property
    def about(self) -> str:
        """First line of its file."""
        return (import_module(self.measure.__module__).__doc__ or "").partition("\n")[0]

    def ask(
        self, model: Surface, reference: Surface | None, system: System, options: Any, work: Path | None = None
    ) -> Outcome:
        """Measure; what was left unfinished in ``work`` is gone on with.

        Args:
            model: asked.
            reference: compared with.
            system: subject.
            options: of this diagnostic.
            work: folder that belongs to this model, reference and these options; None keeps nothing.
        """
        kept = {"work": work} if self.resumes else {}
        return self.measure(model, reference, system, options, **kept)

    def applies(self, reference: Surface | None, system: System) -> str | None:
        """Why it cannot be asked, or None if it can."""
        has = {
            "reference": reference is not None,
            "crystal": bool(system.crystals),
            "molecule": bool(system.molecules),
            "published test set": system.tests is not None,
        }
        has["structure"] = has["crystal"] or has["molecule"]
        missing = [need for need in sorted(self.needs) if not has[need]]
        if missing:
            return f"{self.name} needs a {' and a '.join(missing)}, and {system.name} has none"
        about_crystals = has["crystal"] and self.needs & {"crystal", "structure"}
        if about_crystals and isinstance(reference, OfReference) and not reference.crystals:
            names = ", ".join(system.crystals)
            return f"{self.name} is about {names}, and the reference {reference.name} answers for molecules only"
        return None


_KNOWN: dict[str, Diagnostic] = {}


def diagnostic(
    name: str, options: type[Options], draw: Draw, *, needs: tuple[str, ...] = (), resumes: bool = False
) -> Callable[[Measure], Measure]:
    """Register ``measure(model, reference, system, options) -> Outcome`` as ``name``; see :class:`Diagnostic`."""

    def register(measure: Measure) -> Measure:
        _KNOWN[name] = Diagnostic(name, options, measure, draw, frozenset(needs), resumes)
        return measure

    return register


def diagnostics() -> dict[str, Diagnostic]:
    """All of them, by name; importing this folder's files registers them."""
    for module in iter_modules([str(Path(__file__).parent)]):
        import_module(f"{__package__}.{module.name}")
    return dict(sorted(_KNOWN.items()))


def named(names: str) -> list[Diagnostic]:
    """Diagnostics of a comma-separated list, or ``all``.

    Raises:
        ScalarFidError: a name that is not one of them.
    """
    known = diagnostics()
    wanted = list(known) if names == "all" else names.split(",")
    for name in wanted:
        if name not in known:
            raise ScalarFidError(f"diagnostics={name} is not known; there are all, {', '.join(known)}.")
    return [known[name] for name in wanted]
