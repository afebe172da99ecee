"""Where a set's files are: in ``dataset.root``, the package, ``$SCALARFID_DATA``, the cache, or on the web."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scalarfid.data.cache import cache_folder, check_digest, digest
from scalarfid.data.config import DatasetConfig, Keys, Layout, Units
from scalarfid.data.download import download, extract
from scalarfid.data.splits import Sizes
from scalarfid.errors import ScalarFidError

PACKAGED = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Located:
    """The files of a set on this machine, by role, and how to read them.

    Attributes:
        title: what tables call the set.
        where: ``root``, ``package``, ``cache``, ``generated`` or ``path``.
        files: path by role (see ``Layout``).
        marks: by role, what identifies the contents: the sha256, or a recipe's hash.
        keys, units, sizes: as the layout has them.
    """

    title: str
    where: str
    files: dict[str, Path]
    marks: dict[str, str]
    keys: Keys
    units: Units
    sizes: Sizes


def data_root(config: DatasetConfig) -> Path | None:
    """``dataset.root``, else ``$SCALARFID_DATA``, else None."""
    named = config.root or os.environ.get("SCALARFID_DATA")
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise ScalarFidError(f"no folder {root} (dataset.root or $SCALARFID_DATA); correct it or leave it out")
    return root


def filled(config: DatasetConfig, text: str) -> str:
    """``text`` with ``{molecule}`` filled in; where the config lists ``molecules``, it must be one of them."""
    if "{molecule}" in text and config.molecules and config.molecule not in config.molecules:
        choices = ", ".join(config.molecules)
        raise ScalarFidError(f"dataset.molecule={config.molecule!r} is not in {config.name}; take one of {choices}")
    return text.format(molecule=config.molecule)


def layout_files(config: DatasetConfig, layout: Layout) -> dict[str, str]:
    """File name by role, with the molecule filled in."""
    return {role: filled(config, path) for role, path in layout.files.items()}


def _places(config: DatasetConfig) -> list[tuple[str, Path]]:
    """Where to look, in this order: a root given by name, the package, ``$SCALARFID_DATA``, the cache."""
    root = data_root(config)
    places = [("package", PACKAGED), ("cache", _cached(config))]
    if root is not None:
        places.insert(0 if config.root else 1, ("root", root))
    return places


def _cached(config: DatasetConfig) -> Path:
    return cache_folder(config.cache) / "sets" / config.name


def find(config: DatasetConfig) -> Located | None:
    """The set's files if some layout is complete on this machine, checksums verified; None otherwise."""
    for where, place in _places(config):
        for layout in config.layouts:
            names = layout_files(config, layout)
            below = layout.folders if where == "root" else []
            for folder in [place / name for name in below] + ([place] if where != "root" or config.root else []):
                if all((folder / name).is_file() for name in names.values()):
                    return _located(config, layout, where, names, folder)
    return None


def _located(config: DatasetConfig, layout: Layout, where: str, names: dict[str, str], folder: Path) -> Located:
    files = {role: folder / name for role, name in names.items()}
    for role, path in files.items():
        if names[role] in layout.checksums:
            check_digest(path, layout.checksums[names[role]])
    return Located(
        title=filled(config, layout.title or config.title or config.name),
        where=where,
        files=files,
        marks={role: digest(path) for role, path in files.items()},
        keys=layout.keys or config.keys,
        units=layout.units or config.units,
        sizes=wanted_sizes(config, layout),
    )


def wanted_sizes(config: DatasetConfig, layout: Layout | None = None) -> Sizes:
    """``dataset.n_*``, else the layout's."""

    def first(name: str) -> int | float | None:
        own = getattr(config, name)
        return own if own is not None or layout is None else getattr(layout, name)

    return Sizes(train=first("n_train"), val=first("n_val"), test=first("n_test"))


def fetch(config: DatasetConfig) -> Located:
    """Download the first layout that has addresses into the cache.

    Raises:
        ScalarFidError: no layout can be downloaded (with the files that would do), or the download failed.
    """
    layout = next((layout for layout in config.layouts if layout.urls), None)
    if layout is None:
        raise ScalarFidError(
            f"dataset {config.name} is not on this machine and has no public address; set "
            f"dataset.root or $SCALARFID_DATA to the folder with {_wanted(config)}"
        )
    place = _cached(config)
    names = layout_files(config, layout)
    for name in names.values():
        if layout.archive is None:
            download(layout.urls[name], place / name, layout.checksums.get(name))
        elif not (place / name).is_file():
            extract(_archive(config, layout, place), name, place / name)
    return _located(config, layout, "cache", names, place)


def _wanted(config: DatasetConfig) -> str:
    """The files that would do, for a message."""
    options = [
        ", ".join(str(Path(layout.folders[0], name)) for name in layout_files(config, layout).values())
        for layout in config.layouts
    ]
    return " or ".join(options)


def _archive(config: DatasetConfig, layout: Layout, place: Path) -> Path:
    """The layout's archive: one that the user put below the root, else downloaded."""
    name = layout.archive
    root = data_root(config)
    for folder in ["", *layout.folders] if root else []:
        if (root / folder / name).is_file():
            return root / folder / name
    return download(layout.urls[name], place / name, layout.checksums.get(name))


def locate(config: DatasetConfig) -> Located:
    """The set's files, fetched where they have to be."""
    return find(config) or fetch(config)


def given_files(config: DatasetConfig) -> Located:
    """The files a user named: ``dataset.path``, or ``dataset.train`` and perhaps ``val`` and ``test``.

    Raises:
        ScalarFidError: neither or both ways, or a file that is not there.
    """
    named = {"all": config.path, "train": config.train, "val": config.val, "test": config.test}
    files = {role: Path(name).expanduser() for role, name in named.items() if name}
    if "all" in files and len(files) > 1:
        other = next(role for role in files if role != "all")
        raise ScalarFidError(
            f"dataset.path={files['all']} and dataset.{other}={files[other]} exclude each other; give path (one file "
            "to split) or train (with val and test if they exist)"
        )
    if not {"all", "train"} & files.keys():
        raise ScalarFidError(
            "dataset=file needs dataset.path=… (one file to split) or dataset.train=… "
            "(with dataset.val=… and dataset.test=… if they exist)"
        )
    for role, path in files.items():
        key = "path" if role == "all" else role
        if path.is_dir():
            raise ScalarFidError(f"dataset.{key}={path} is a folder; name a file in it")
        if not path.is_file():
            raise ScalarFidError(f"dataset.{key}={path}: there is no such file")
    first = files.get("all", files.get("train"))
    return Located(
        title=config.title or first.name,
        where="path",
        files=files,
        marks={role: digest(path) for role, path in files.items()},
        keys=config.keys,
        units=config.units,
        sizes=wanted_sizes(config),
    )
