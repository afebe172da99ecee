"""Hydra's and OmegaConf's errors as one line: what was typed, what is wrong with it, what it could have been."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from scalarfid.errors import ScalarFidError

OPTIONAL = {"submitit_slurm": "'scalarfid[slurm]'"}
"""Configuration files that come with a package, and what brings it."""


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """Say which of the allowed words was probably meant, and list them all."""
    allowed = [str(item) for item in allowed]
    close = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return f"{guess}there {'is' if len(allowed) == 1 else 'are'} {', '.join(sorted(allowed))}"


def explain(error: Exception) -> ScalarFidError:
    """One-line form of an error met while a configuration is composed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _unknown_choice(error)
    if isinstance(error, OverrideParseException):
        return ScalarFidError(f"Cannot read {error.override!r}: an override looks like key=value ({_first(error)}).")
    causes = list(islice(_chain(error), 5))
    for cause in causes:
        if isinstance(cause, InterpolationKeyError):
            return ScalarFidError(f"{cause.full_key}: {_first(cause)}; give {cause.full_key}=….")
        if isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
            return _unknown_key(cause)
        if isinstance(cause, (ValidationError, MissingMandatoryValue, InterpolationResolutionError)):
            return ScalarFidError(f"{cause.full_key}: {_first(cause)}.")
    reasons = dict.fromkeys(" ".join(str(cause).split("full_key")[0].split()) for cause in causes)
    return ScalarFidError(": ".join(filter(None, reasons)))


def _unknown_choice(error: MissingConfigException) -> ScalarFidError:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if name in OPTIONAL:
        return ScalarFidError(f"{group}={name} needs a package that is missing; pip install {OPTIONAL[name]}.")
    if not error.options:
        return ScalarFidError(f"{error.missing_cfg_file} is not a configuration file; see `ls conf`.")
    return ScalarFidError(f"{group}={name} is not a choice; {suggestion(name, error.options)}.")


def _unknown_key(error: OmegaConfBaseException) -> ScalarFidError:
    key, node = str(error.full_key or error.key), error.parent_node
    last = key.rpartition(".")[2]
    names = list(node) if isinstance(node, DictConfig) and not node._is_none() else []
    keys = [str(name) for name in names if name != "hydra"]
    if not keys:
        return ScalarFidError(f"{key} is not a key of the configuration; `--cfg job` shows them all.")
    return ScalarFidError(f"{key} is not a key of the configuration; {suggestion(last, keys)}.")


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _first(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def to_plain(cfg: DictConfig) -> dict:
    """Resolved configuration as plain Python; a missing value is an error.

    Raises:
        ScalarFidError: which key has no value.
    """
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain(error) from None
