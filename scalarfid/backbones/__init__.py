"""Upstream networks behind one interface; one file per backbone, found by its name."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import pkgutil
from typing import Any, get_type_hints

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
        for key, kind in get_type_hints(module.build).items():
            if key in numbers:
                _check_size(key, numbers[key], kind)
        try:
            return module.build(dtype=dtype, seed=seed, **numbers)
        except TypeError as error:
            if "unexpected keyword" not in str(error) and "missing" not in str(error):
                raise
            raise ScalarFidError(f"Backbone {name!r}: {error}; see conf/backbone/{name}.yaml for its sizes.") from error


def _check_size(key: str, value: Any, kind: Any) -> None:
    """Refuse a size that is not of the kind ``build`` declares, or not positive; degrees and depths may be 0."""
    least = 0 if key.endswith(("_l", "l_max", "_depth")) else 1
    items = value if kind == list[int] and isinstance(value, list) else [value]
    right = {
        bool: isinstance(value, bool),
        int: type(value) is int and value >= least,
        list[int]: isinstance(value, list) and all(type(item) is int and item >= least for item in items),
    }
    if not right.get(kind, True):
        wanted = {
            bool: "true or false",
            int: f"a whole number from {least}",
            list[int]: f"whole numbers from {least}, [64, 64]",
        }
        raise ScalarFidError(f"backbone.{key}={value} is not a size; give {wanted[kind]}.")
