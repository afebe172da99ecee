"""Compose a configuration outside a Hydra application, leaving no process-wide state behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from scalarfid.config.messages import explain
from scalarfid.config.schema import check, register
from scalarfid.errors import ScalarFidError

VERSION_BASE = "1.3"


def conf_dir() -> Path:
    """Return the repository's ``conf/`` when the package lies in one, else the copy packed in the wheel."""
    package = Path(__file__).resolve().parents[1]
    repository = package.parent
    if (repository / "pyproject.toml").is_file() and (repository / "conf" / "config.yaml").is_file():
        return repository / "conf"
    return package / "conf"


def compose(overrides: Sequence[str] = (), *, config_name: str = "config") -> DictConfig:
    """Compose ``conf/config.yaml`` with overrides such as ``"probe=pan+pgs"`` or ``"training.lr=1e-3"``.

    Raises:
        ScalarFidError: one line for a key, a choice or a value that does not exist or does not fit, with alternatives.
    """
    try:
        with private_hydra():
            cfg = hydra.compose(config_name=config_name, overrides=list(overrides))
    except ScalarFidError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from None
    except (ValueError, AssertionError) as error:  # what Hydra makes of training=1 and of a key below an empty one
        raise ScalarFidError(f"Cannot apply {' '.join(overrides)}: {error}.") from None
    check(cfg)
    return cfg


@contextmanager
def private_hydra() -> Iterator[None]:
    """A Hydra of our own for the duration; singletons and resolvers are afterwards what they were before."""
    folder = conf_dir()
    if not folder.is_dir():
        raise ScalarFidError(f"No configuration at {folder}; install scalarfid again, the wheel carries conf/.")
    state = Singleton.get_state()
    try:
        GlobalHydra.instance().clear()
        register()
        with hydra.initialize_config_dir(str(folder), version_base=VERSION_BASE, job_name="compose"):
            yield
    finally:
        Singleton.set_state(state)
