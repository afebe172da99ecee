"""The table of probe parts and the check of their options."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from scalarfid.errors import ScalarFidError
from scalarfid.sites import Attachment, Sites


@dataclass(frozen=True)
class Part:
    """One registered part: its name, options class, builder, and place in a layer's chain of message modules."""

    name: str
    options: type
    function: Callable[[Any, Sites], Attachment]
    order: int

    def build(self, options: Mapping[str, Any], sites: Sites) -> Attachment:
        """Check the options and build the modules."""
        return self.function(parse_options(self.name, self.options, options), sites)


PARTS: dict[str, Part] = {}


def part(name: str, options: type, *, order: int = 0) -> Callable[[Callable], Callable]:
    """Register ``function(options, sites) -> Attachment`` as ``name``; lower ``order`` acts first on the messages."""

    def register(function: Callable[[Any, Sites], Attachment]) -> Callable:
        PARTS[name] = Part(name, options, function, order)
        return function

    return register


def parse_options(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    """Make the options dataclass; unknown or missing keys are a :class:`ScalarFidError` that names the alternatives.

    A key that models saved before it existed do not have has a default in the dataclass.
    """
    known = [f.name for f in fields(kind)]
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ScalarFidError(f"Probe part {name!r} has no option {key!r}; it has {', '.join(known)}.{hint}")
    missing = [f.name for f in fields(kind) if f.name not in values and f.default is MISSING]
    if missing:
        raise ScalarFidError(
            f"Probe part {name!r} misses the options {', '.join(missing)}; see conf/probe/part/{name}.yaml."
        )
    for key, declared in get_type_hints(kind).items():
        if key in values:
            _check_option(name, key, values[key], declared)
    return kind(**values)


def _check_option(name: str, key: str, value: Any, declared: Any) -> None:
    """Refuse a number, table or switch that is not of the declared kind; counts (``num_…``) may be 0."""
    least = 0 if key.startswith("num_") else 1
    right = {
        int: (type(value) is int and value >= least, f"a whole number from {least}"),
        float: (isinstance(value, (int, float)) and 0 < value < math.inf, "a positive number"),
        bool: (isinstance(value, bool), "true or false"),
        dict[str, int]: (isinstance(value, Mapping), "{channels: …, centres: …}"),
    }
    fits, wanted = right.get(declared, (True, ""))
    if not fits:
        raise ScalarFidError(f"Probe part {name!r}: {key}={value} is out of range; give {wanted}.")


def check_choice(name: str, option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise ScalarFidError(f"Probe part {name!r}: {option}={value!r} is not one of {', '.join(choices)}.")
