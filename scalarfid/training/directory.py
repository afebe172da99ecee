"""The run directory: what lies where, who holds it, and how far it has come."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
import traceback
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from scalarfid.config import CONFIG_FILE
from scalarfid.errors import ScalarFidError
from scalarfid.files import read_json, write_json, write_text
from scalarfid.log import log

BEAT = 30.0
"""Seconds between two signs of life."""
SILENCE = 300.0
"""Seconds without one after which a holder counts as gone."""
STATES = ("running", "finished", "failed", "interrupted")
GONE = (
    "", "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PENDING",
    "PREEMPTED", "REQUEUED", "TIMEOUT",
)  # fmt: skip
"""What squeue says of a job that runs nothing; a pending one was put back into the queue."""


class HeldError(ScalarFidError):
    """Another process has the run and is alive; the exit status is the usual one for "try again later"."""

    exit_status = 75


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """A run was asked to stop, and has saved. ``signum`` says by which signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum


class RunDirectory:
    """``<root>/<experiment>/<name>/``, held by one process at a time while the context is open.

    An OS lock beside the directory keeps out processes of this machine; a sign of life in ``status.json`` every 30
    seconds keeps out those of others that share the file system. Leaving the context records how it ended.

    Args:
        path: of the directory; it is made by :meth:`begin`, not before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.token = uuid.uuid4().hex
        self.status: dict[str, Any] = {}
        self._old = path.with_name(f".{path.name}.old")
        self._lock = FileLock(path.parent / f".{path.name}.lock", thread_local=False)
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._beats: threading.Thread | None = None

    # who holds it

    def __enter__(self) -> RunDirectory:
        """Take hold of it.

        Raises:
            HeldError: another process has it and is alive.
            ScalarFidError: the place cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            self._refuse_if_alive(same_machine=False)
            self._break_lock()
        except OSError as error:
            raise ScalarFidError(
                f"Cannot write to {self.path.parent} ({error.strerror}); choose another run.root=…."
            ) from error
        else:
            self._refuse_if_alive(same_machine=True)
        self._put_back()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        if self._beats is not None:
            self._beats.join()
            if kind is None:
                self.record(state="finished")
            elif issubclass(kind, (Interrupted, KeyboardInterrupt, SystemExit)):
                self.record(state="interrupted")
            else:
                self.record(state="failed", error="".join(traceback.format_exception(kind, error, tb)))
        self._put_back()
        self._lock.release()

    def recorded(self) -> dict[str, Any]:
        """What ``status.json`` says, empty if there is none."""
        return read_json(self.path / "status.json") or {}

    def _refuse_if_alive(self, *, same_machine: bool) -> None:
        """Refuse unless the holder is gone; having the lock proves it for a holder on this machine."""
        status = self.recorded()
        silent = time.time() - float(status.get("heartbeat") or 0.0)
        job = status.get("slurm_job")
        ours = same_machine and (status.get("host") == socket.gethostname() or _requeued_from(job))
        gone = silent > SILENCE or ours or job_gone(job)
        if status.get("state", "running" if not same_machine else "") == "running" and not gone:
            who = f"{status.get('host')}, process {status.get('pid')}"
            by_job = f", SLURM job {job}" if job else ""
            raise HeldError(
                f"{self.path} is being trained by {who}{by_job} (last sign of life {silent:.0f} s ago); "
                f"wait for it, or stop it: after {SILENCE:.0f} s of silence this command takes over."
            )
        if not same_machine and status.get("state") != "running":
            raise HeldError(f"{self.path} is being started or closed by another process; try again in a moment.")
        if status.get("state") == "running":
            log.warning("%s was left by %s, process %s; taking over.", self.path, status.get("host"), status.get("pid"))

    def _break_lock(self) -> None:
        """Take the lock of a holder that hangs: it keeps the old file, and finds out at its next sign of life."""
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock = FileLock(self._lock.lock_file, thread_local=False)
        self._lock.acquire(timeout=0)

    # what is in it

    def begin(self, config_yaml: str, *, anew: bool, **facts: Any) -> None:
        """Make the directory, or go on in it, and start giving signs of life.

        Args:
            config_yaml: of the run, written as ``config.yaml``.
            anew: put what is there out of the way first; it comes back unless :meth:`settle` is reached.
            **facts: further entries of ``status.json``.
        """
        if anew and self.path.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            self.path.rename(self._old)
        for folder in (self.checkpoints, self.path / "diagnostics"):
            folder.mkdir(parents=True, exist_ok=True)
        write_text(self.path / CONFIG_FILE, config_yaml)
        self.status = {
            "state": "running",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "slurm_job": slurm_job(),
            "token": self.token,
            "started": time.time(),
            **facts,
        }
        write_json(self.path / "status.json", self.status | {"heartbeat": time.time()})
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def settle(self) -> None:
        """Delete what was put out of the way: the new run has everything it needs."""
        shutil.rmtree(self._old, ignore_errors=True)

    def _put_back(self) -> None:
        """Undo a beginning that came to nothing."""
        if self._old.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self._old.rename(self.path)

    def record(self, **facts: Any) -> None:
        """Update ``status.json``; nothing is written if another process has taken over."""
        with self._writing:
            self.status |= facts
            if self.is_ours():
                write_json(self.path / "status.json", self.status | {"heartbeat": time.time()})

    def is_ours(self) -> bool:
        """Whether no other process has taken over."""
        return self.recorded().get("token") == self.token

    def check_ours(self) -> None:
        """Stop a process that was taken for dead, before it writes over the work of its successor.

        Raises:
            ScalarFidError: if another process has taken over, or the directory is gone.
        """
        other = self.recorded()
        if not other:
            raise ScalarFidError(
                f"{self.path}/status.json is gone: the directory was deleted or moved while this process trained; "
                "the same command begins anew."
            )
        if other.get("token") != self.token:
            raise ScalarFidError(
                f"{self.path} was taken over by {other.get('host')}, process {other.get('pid')}, "
                f"after this one was silent for {SILENCE:.0f} s; nothing more is written here."
            )

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            self.record()


def slurm_job() -> str | None:
    """Name of this SLURM job, None outside of one; ``12_3`` in an array, where a bare number may mean all of it."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def job_gone(job: str | None) -> bool:
    """Whether SLURM says that a job is no longer there; false when it cannot be asked."""
    if not job or shutil.which("squeue") is None:
        return False
    try:
        question = ["squeue", "--noheader", "--jobs", str(job), "--format", "%T"]
        answer = subprocess.run(question, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return False
    if answer.returncode != 0:
        return "Invalid job id" in answer.stderr
    return answer.stdout.strip() in GONE


def _requeued_from(job: str | None) -> bool:
    """Whether a job is this one, which SLURM has started again, perhaps on another node."""
    return job is not None and job == slurm_job() and bool(os.environ.get("SLURM_RESTART_COUNT"))


def alive(status: Mapping[str, Any]) -> bool:
    """Whether the process that a ``status.json`` names is still at work, as far as can be told without its lock."""
    if status.get("state") != "running" or time.time() - float(status.get("heartbeat") or 0.0) > SILENCE:
        return False
    if status.get("host") != socket.gethostname():
        return not job_gone(status.get("slurm_job"))
    try:
        os.kill(int(status["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and there
        return True
    return True


def state_of(path: Path) -> str:
    """One of ``STATES``, or ``missing``; a run whose process is gone was interrupted."""
    status = read_json(path / "status.json") or {}
    state = status.get("state", "missing")
    return "interrupted" if state == "running" and not alive(status) else state


def note_failure(path: Path, error: str) -> None:
    """Record in ``status.json`` a failure that the run itself could not: it had not begun, or it was killed."""
    status = read_json(path / "status.json") or {}
    if status.get("state") != "finished" and not alive(status):
        facts = {"state": "failed", "error": error, "host": socket.gethostname(), "heartbeat": time.time()}
        write_json(path / "status.json", status | facts)
