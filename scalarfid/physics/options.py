"""Options of a diagnostic, and what they may be: numbers are above zero unless their field says otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from scalarfid.errors import ScalarFidError, check_number
from scalarfid.physics.surface import Surface
from scalarfid.physics.systems import System


def limited(default: float, *, least: float | None = None, below: float = math.inf) -> Any:
    """A field that may be from ``least`` on (None: above zero) and ``below`` a limit."""
    return field(default=default, metadata={"least": least, "below": below})


def one_of(choices: Sequence[str], default: str) -> Any:
    """A field that is one of some words."""
    return field(default=default, metadata={"choices": choices})


@dataclass
class Options:
    """What the options of every diagnostic share."""

    def check(self, question: str) -> None:
        """Refuse what no model can be asked; None, words and switches are free where their field names no choices.

        Raises:
            ScalarFidError: the option of the ``question``, its value, and what it may be.
        """
        for option in fields(self):
            name, value = f"{question}.{option.name}", getattr(self, option.name)
            if value not in option.metadata.get("choices", [value]):
                raise ScalarFidError(
                    f"{name}={value} is not a choice; there are {', '.join(option.metadata['choices'])}."
                )
            if value == []:
                raise ScalarFidError(f"{name}=[] is empty; give at least one number.")
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, (int, float)) and not isinstance(number, bool):
                    check_number(name, number, option.metadata.get("least"), option.metadata.get("below", math.inf))

    def check_for(self, model: Surface, system: System) -> None:
        """Refuse what this model of this system cannot be asked, with a ScalarFidError."""
