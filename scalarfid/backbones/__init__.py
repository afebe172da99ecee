"""Upstream networks behind one interface; one file per backbone, found by its name."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import pkgutil
from typing import Any

import torch

from scalarfid.backbones.base import Backbone, Inputs
from scalarfid.errors import ScalarFidError

__all__ = ["Backbone", "Inputs", "backbone_names", "build_backbone"]

_SUPPORT = {"base", "isolation", "nequip_family"}


def backbone_names() -> list[str]:
    """Names a configuration may give: the files of this package."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _SUPPORT)


def build_backbone(name: str, *, dtype: torch.dtype, seed: int, **numbers: Any) -> Backbone:
    """Build the backbone ``name`` from plain numbers, with weights drawn from (seed, "backbone") alone.

    Raises:
        ScalarFidError: for an unknown name, a size the backbone does not have, or a package that is not installed.

    """
    from scalarfid.backbones.isolation import isolated  # noqa: PLC0415 - imports e3nn

    if name not in backbone_names():
        raise ScalarFidError(f"Unknown backbone {name!r}; choose one of {', '.join(backbone_names())}.")
    with isolated(dtype=dtype, seed=seed):
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # mace reports missing optional kernels on stdout
                module = importlib.import_module(f"scalarfid.backbones.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("scalarfid"):
                raise
            raise ScalarFidError(
                f"Backbone {name!r} needs the package {error.name!r}; install it with: pip install 'scalarfid[{name}]'."
            ) from error
        try:
            return module.build(dtype=dtype, seed=seed, **numbers)
        except TypeError as error:
            if "unexpected keyword" not in str(error) and "missing" not in str(error):
                raise
            raise ScalarFidError(f"Backbone {name!r}: {error}; see conf/backbone/{name}.yaml for its sizes.") from error
