"""What is asked of SLURM: to put this job back into its queue, and which jobs are still in it."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
from collections.abc import Iterable

from scalarfid.log import log
from scalarfid.training.directory import slurm_job

PATIENCE = 60
"""Seconds to wait for an answer of SLURM's."""


def requeue(signum: int) -> None:
    """Put the SLURM job that this process is back into the queue, if that is what the signal means.

    USR1 and USR2 are what batch scripts ask for ahead of the time limit or of preemption. TERM means preemption while
    the job still counts as running; one that was cancelled or has run out of time does not. submitit's own handler,
    which counts time-outs, does it where there is one. Processes of a parallel launcher leave it to their parent.
    """
    job = slurm_job()
    if job is None or multiprocessing.parent_process() is not None or signum == signal.SIGINT:
        return
    handler = signal.getsignal(signum)
    if callable(handler):
        handler(signum, None)  # submitit's, which exits; for TERM it only logs
    if signum == signal.SIGTERM and queue([job]).get(job) != "RUNNING":
        return
    answer = ask("scontrol", "requeue", job)
    if answer is None or answer.returncode != 0:
        log.warning(
            "SLURM does not take job %s back: %s", job, "no answer" if answer is None else answer.stderr.strip()
        )
    else:
        log.info("SLURM job %s is back in the queue and goes on from here when it is started again.", job)


def queue(jobs: Iterable[str]) -> dict[str, str]:
    """State of each job that is in the queue by its name: ``12``, or ``12_3`` in an array.

    Raises:
        ConnectionError: SLURM does not answer.
    """
    answer = ask("squeue", "--noheader", "--array", "--jobs", ",".join(jobs), "--format", "%i %T")
    if answer is None or (answer.returncode != 0 and "Invalid job id" not in answer.stderr):
        raise ConnectionError("squeue: " + ("no answer" if answer is None else answer.stderr.strip()))
    return dict(line.split() for line in answer.stdout.splitlines())


def ask(*words: str) -> subprocess.CompletedProcess[str] | None:
    """Run a client of SLURM's; None if it is not installed or does not answer in time."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - ours
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
