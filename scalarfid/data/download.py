"""Fetch a file once, however many processes ask: under a lock, verified, renamed into place."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlparse

import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from scalarfid.data.cache import check_digest, locked, replacing
from scalarfid.errors import ScalarFidError
from scalarfid.log import console, log

TIMEOUT = (15, 120)  # s to connect, s between two packets
CHUNK = 1 << 18


def download(url: str, target: Path, checksum: str | None) -> Path:
    """The file of ``url`` at ``target``, fetched if it is not there; another process's download is waited for.

    Args:
        url: http or https address.
        target: where the file goes; it appears only when complete and verified.
        checksum: ``sha256:…`` or ``md5:…``; None where none is published (warned).

    Raises:
        ScalarFidError: no connection, an HTTP error, a wrong checksum, no room.
    """
    if target.is_file():
        return target
    with locked(target):
        if target.is_file():
            return target
        log.info("downloading %s to %s", url, target)
        with replacing(target) as temporary:
            _stream(url, temporary)
            if checksum is None:
                log.warning("%s: no checksum is published for this file; it is taken as it came", target.name)
            else:
                check_digest(temporary, checksum)
    return target


def _stream(url: str, temporary: Path) -> None:
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as response:
            response.raise_for_status()
            size = int(response.headers.get("Content-Length", 0)) or None
            with temporary.open("wb") as file, _bar() as bar:
                task = bar.add_task(Path(urlparse(url).path).name, total=size)
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(task, advance=len(chunk))
    except requests.RequestException as error:
        status = None if error.response is None else error.response.status_code
        reason = f"HTTP {status}" if status else f"no connection or a broken one ({type(error).__name__})"
        raise ScalarFidError(
            f"cannot download {url}: {reason}; get the file by hand and put its folder in dataset.root"
        ) from error


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def extract(archive: Path, member: str, target: Path) -> Path:
    """One member of a tar archive at ``target``; found by the end of its path, so a leading folder does not matter.

    Raises:
        ScalarFidError: the archive is damaged or has no such member.
    """
    if target.is_file():
        return target
    with locked(target):
        if not target.is_file():
            log.info("unpacking %s from %s", member, archive.name)
            with replacing(target) as temporary, temporary.open("wb") as output:
                _copy_member(archive, member, output)
    return target


def _copy_member(archive: Path, member: str, output: IO[bytes]) -> None:
    wanted = PurePosixPath(member).parts
    try:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile() and PurePosixPath(entry.name).parts[-len(wanted) :] == wanted:
                    shutil.copyfileobj(tar.extractfile(entry), output)
                    return
    except (tarfile.TarError, EOFError) as error:
        reason = " ".join(str(error).split())[:80]
        raise ScalarFidError(f"{archive} is damaged ({reason}); remove it to fetch it again") from error
    raise ScalarFidError(f"{archive} has no file {member}; it is not the archive this set was written for")
