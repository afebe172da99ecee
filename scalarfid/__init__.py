"""scalarfid: what equivariant interatomic potentials lose in their l = 0 channels, measured with paired experiments.

The public names are loaded when first used, so that ``import scalarfid`` is quick::

    potential = scalarfid.build(backbone="mace_small", probe="pan+pgs", elements=["Ag"])
    potential = scalarfid.load("runs/default/mace-pan+pgs-ethanol-s0-1a2b3c4d")
    atoms.calc = scalarfid.ScalarFidCalculator("runs/…", dtype="float64")
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_HOME = {
    "Potential": "scalarfid.potential",
    "ScalarFidCalculator": "scalarfid.calculator",
    "ScalarFidError": "scalarfid.errors",
    "build": "scalarfid.potential",
    "load": "scalarfid.potential",
}

__all__ = ["Potential", "ScalarFidCalculator", "ScalarFidError", "__version__", "build", "load"]

try:
    __version__ = version("scalarfid")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'scalarfid' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
