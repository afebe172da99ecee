"""Physics: questions to a potential-energy surface, one file a question, numbers with units and settings."""

from __future__ import annotations

from scalarfid.physics.outcome import Number, Outcome
from scalarfid.physics.registry import Diagnostic, diagnostics, named
from scalarfid.physics.surface import Answers, Surface, surface
from scalarfid.physics.systems import System, system_of

__all__ = [
    "Answers",
    "Diagnostic",
    "Number",
    "Outcome",
    "Surface",
    "System",
    "diagnostics",
    "named",
    "surface",
    "system_of",
]
