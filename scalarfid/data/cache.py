"""Files that many processes share: a lock around making them, and a rename at the end, so none is ever half there."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from scalarfid import files
from scalarfid.errors import ScalarFidError

DEFAULT = "~/.cache/scalarfid"
REMEDY = "free some space or set dataset.cache elsewhere"


def cache_folder(configured: str | None) -> Path:
    """The folder for downloads, generated sets and graphs: ``dataset.cache`` or the default, made when missing."""
    folder = Path(configured or DEFAULT).expanduser()
    with files.writing(folder, REMEDY):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def locked(target: Path) -> AbstractContextManager[None]:
    """:func:`scalarfid.files.locked` for files of the cache."""
    return files.locked(target, remedy=REMEDY)


def replacing(target: Path) -> AbstractContextManager[Path]:
    """:func:`scalarfid.files.replacing` for files of the cache."""
    return files.replacing(target, remedy=REMEDY)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def check_digest(path: Path, expected: str) -> None:
    """Compare a file with ``sha256:<hex>`` (or the beginning of it) or ``md5:<hex>``.

    Raises:
        ScalarFidError: the file differs, with both checksums.
    """
    algorithm, _, value = expected.partition(":")
    found = digest(path, algorithm)
    if not found.startswith(value):
        raise ScalarFidError(
            f"{path} has {algorithm} {found[:16]}…, expected {value[:16]}…: it is damaged or another version; "
            "remove it to fetch it again, or read it as it is with dataset=file dataset.path=…"
        )
