"""What a dataset's config may hold: the one schema behind every file of ``conf/dataset``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scalarfid.errors import ScalarFidError


@dataclass
class Keys:
    """Where the labels are: a name, or a list of names tried in order; None is ``REF_*``, then ASE's calculator."""

    energy: Any = None
    forces: Any = None
    stress: Any = None


@dataclass
class Units:
    """Units of the file in ASE's names, ``kcal/mol/Ang`` or ``-kbar`` (the minus turns compressive positive around)."""

    length: str = "Ang"
    energy: str = "eV"
    forces: str = "eV/Ang"
    stress: str = "eV/Ang^3"


@dataclass
class Layout:
    """One form in which a named set exists: the published files, or a stand-in for them.

    ``files`` maps a role to a file; ``{molecule}`` is filled in. Roles: ``train``, ``val``, ``test`` (or
    ``test_<name>``, any number), ``all`` (to be split by seed), ``isolated`` (single atoms), ``index_<role>`` (a text
    file of row numbers into ``all``). They are looked for in each of ``folders`` below the root, and fetched from
    ``urls`` (by file, or by ``archive``, whose members they then are). ``checksums`` maps a file to
    ``sha256:<hex, or its beginning>`` or ``md5:<hex>``.
    """

    files: dict[str, str] = MISSING
    folders: list[str] = field(default_factory=lambda: [""])
    title: str | None = None
    archive: str | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    keys: Keys | None = None
    units: Units | None = None
    n_train: int | float | None = None
    n_val: int | float | None = None
    n_test: int | float | None = None


@dataclass
class Recipe:
    """How a generated set is made: which reference potential labels which frames (see ``data/generate.py``)."""

    potential: str = MISSING
    frames: int = 300
    seed: int = 0
    temperatures: list[float] = field(default_factory=lambda: [300.0, 600.0, 1000.0])
    timestep: float = 2.0


@dataclass
class DatasetConfig:
    """Everything ``scalarfid.data.load`` needs to know about one set.

    ``root``: folder searched first (None: ``$SCALARFID_DATA``); ``cache``: for downloads, generated sets and graphs
    (None: ``~/.cache/scalarfid``). ``path``, or ``train``, ``val`` and ``test``: your own files, for the set ``file``.
    ``molecule``: which of the molecules of ``rmd17`` or ``xtb``; elsewhere no more than a name that a set may state.
    ``group_key``: frames with one value of it in ``info`` stay in one split. ``duplicates``: ``refuse`` or
    ``drop_from_train``. ``e0``: ``auto``, ``isolated``, ``lstsq``, ``mean`` or ``explicit`` (``e0_values``, in eV).
    ``n_train``, ``n_val``, ``n_test``: a number of frames, or a fraction below 1 of those available; None takes the
    layout's own. ``split_seed`` alone decides which frames they are. ``hide_test`` holds the test frames back, so that
    settings can be chosen without them; ``n_test=0`` would leave those of a set in one file to training and validation.
    """

    name: str = MISSING
    title: str | None = None
    description: str = ""
    licence: str = "not stated"
    citation: str = "not stated"
    root: str | None = None
    cache: str | None = None
    path: str | None = None
    train: str | None = None
    val: str | None = None
    test: str | None = None
    molecule: str | None = None
    molecules: list[str] = field(default_factory=list)
    n_train: int | float | None = None
    n_val: int | float | None = None
    n_test: int | float | None = None
    hide_test: bool = False
    split_seed: int = 0
    group_key: str | None = None
    duplicates: str = "refuse"
    e0: str = "auto"
    e0_values: dict[str, float] = field(default_factory=dict)
    keys: Keys = field(default_factory=Keys)
    units: Units = field(default_factory=Units)
    layouts: list[Layout] = field(default_factory=list)
    recipe: Recipe | None = None


CHOICES = {
    "duplicates": ("refuse", "drop_from_train"),
    "e0": ("auto", "isolated", "lstsq", "mean", "explicit"),
}


def as_config(config: DatasetConfig | DictConfig | Mapping[str, Any]) -> DatasetConfig:
    """Typed form of a dataset config given as a mapping or a Hydra node; unknown keys and choices are refused."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(DatasetConfig), config)
        typed = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise ScalarFidError(f"dataset config: {reason}; the keys are those of scalarfid/data/config.py") from error
    for key, allowed in CHOICES.items():
        value = getattr(typed, key)
        if value not in allowed:
            raise ScalarFidError(f"dataset.{key}={value!r} is not a choice; take one of {', '.join(allowed)}")
    return typed


def refuse_unread(config: DictConfig) -> None:
    """Refuse files, or a molecule, that a user gave to a set that does not read them: the set's own would be loaded.

    Args:
        config: a typed dataset config that a user has just written; those of old runs are taken as they are.

    Raises:
        ScalarFidError: the key, its value, and the sets that read it.
    """
    if not config.layouts and config.recipe is None:
        return
    for key in ("path", "train", "val", "test"):
        if config[key] is not None:
            raise ScalarFidError(
                f"dataset.{key} is read by dataset=file only; say dataset=file, or leave "
                f"dataset.{key}={config[key]} out"
            )
    in_a_name = any("{molecule}" in file for layout in config.layouts for file in layout.files.values())
    reads_molecule = in_a_name or OmegaConf.select(config, "recipe.potential") == "xtb"
    molecule = config.molecule
    if not reads_molecule and molecule is not None and molecule != _stated(config).get("molecule"):
        raise ScalarFidError(
            "dataset.molecule is read by dataset=rmd17 and dataset=xtb only; say one of them, or leave "
            f"dataset.molecule={molecule} out"
        )


def config_folder() -> Path:
    """The ``conf/dataset`` folder: the repository's when there is one, else the copy packed in the wheel."""
    package = Path(__file__).resolve().parents[1]
    repository = package.parent / "conf" / "dataset"
    return repository if repository.is_dir() else package / "conf" / "dataset"


def set_names() -> list[str]:
    """Names of all sets that have a config, sorted; files that only choose within a set are left out."""
    return sorted(path.stem for path in config_folder().glob("*.yaml") if "defaults" not in OmegaConf.load(path))


def named(name: str, **overrides: Any) -> DatasetConfig:
    """Config of the set ``name`` from ``conf/dataset/<name>.yaml`` with some keys replaced."""
    if not (config_folder() / f"{name}.yaml").is_file():
        raise ScalarFidError(f"no dataset is called {name!r}; there are {', '.join(set_names())}")
    config = as_config(OmegaConf.merge(_stored(name), OmegaConf.create(overrides)))
    refuse_unread(OmegaConf.structured(config))
    return config


def _stated(config: DictConfig) -> DictConfig:
    """What the set's own file says, where there is one."""
    name = OmegaConf.select(config, "name")
    return _stored(name) if (config_folder() / f"{name}.yaml").is_file() else OmegaConf.create()


def _stored(name: str) -> DictConfig:
    """What stands in the file, on top of the set that it chooses within (``defaults: [rmd17]``)."""
    settings = OmegaConf.load(config_folder() / f"{name}.yaml")
    return OmegaConf.merge(*map(_stored, settings.pop("defaults", [])), settings)
