"""Files that many processes share: a lock around making them, and a rename at the end, so none is ever half there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from scalarfid.errors import ScalarFidError

DEFAULT = "~/.cache/scalarfid"


def cache_folder(configured: str | None) -> Path:
    """The folder for downloads, generated sets and graphs: ``dataset.cache`` or the default, made when missing."""
    folder = Path(configured or DEFAULT).expanduser()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn an operating system error while writing ``target`` into one line."""
    try:
        yield
    except OSError as error:
        remedy = "free some space or set dataset.cache elsewhere"
        raise ScalarFidError(f"cannot write {target}: {error.strerror or error}; {remedy}") from error


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of ``target`` (a file beside it) across processes, waiting for whoever has it."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{target}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target``; renamed to it when the block ends well, removed when it does not."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, target)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


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
