"""Files that are always whole: written under another name, then renamed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from scalarfid.errors import ScalarFidError

REMEDY = "choose another folder"


@contextmanager
def writing(target: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Turn an operating system error while writing ``target`` into one line with the remedy.

    Raises:
        ScalarFidError: the operating system's reason, when the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ScalarFidError(f"Cannot write {target}: {error.strerror or error}; {remedy}.") from error


@contextmanager
def replacing(target: Path, remedy: str = REMEDY) -> Iterator[Path]:
    """Give a temporary path beside ``target``, renamed to it when the block ends well and removed when it does not.

    The temporary name keeps the suffix, by which matplotlib and pandas choose the format.

    Raises:
        ScalarFidError: the operating system's reason, when the file cannot be written.
    """
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        with writing(target, remedy):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


@contextmanager
def usual_mode(path: Path) -> Iterator[None]:
    """Give a file that the block writes the mode that the umask gives; safetensors makes it for its owner alone."""
    path.touch()
    mode = path.stat().st_mode
    yield
    path.chmod(mode)


@contextmanager
def locked(target: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Hold the lock of ``target`` (a file beside it) across processes, waiting for whoever has it.

    Raises:
        ScalarFidError: the operating system's reason, when there can be no such file.
    """
    lock = FileLock(f"{target}.lock")
    with writing(target, remedy):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_text(target: Path, text: str) -> Path:
    """Replace a text file in one step and return its path."""
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def write_json(path: Path, record: Any) -> None:
    """Replace a JSON file in one step; numbers that JSON does not have become null."""
    write_text(path, json.dumps(_finite(record), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the record, or None if there is no (whole) file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return record if isinstance(record, dict) else None


def digest(path: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
