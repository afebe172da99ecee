"""Write a result under another name, then rename it: no half-written table or plot is ever found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scalarfid.errors import ScalarFidError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target``, renamed to it when the block ends well and removed when it does not.

    The temporary name keeps the suffix, by which matplotlib and pandas choose the format.

    Raises:
        ScalarFidError: the operating system's reason, when the file cannot be written.
    """
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise ScalarFidError(f"Cannot write {target}: {error.strerror or error}; choose another folder.") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> Path:
    """Replace a text file in one step and return its path."""
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target
