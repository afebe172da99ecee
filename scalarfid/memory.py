"""Memory of a process: what a step has freed is kept, garbage is looked for later, and how much there was."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt(3)
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # read by PyTorch
KEPT = 1 << 29
"""Bytes of free memory that a process may hold on to."""


def keep_freed_memory() -> None:
    """Tune the allocators of C and PyTorch for the whole process: for entry points, which own theirs.

    Tensors of 0.1 to 100 MB come and go thousands of times a second. By default glibc maps each anew, and the system
    clears every page of it: half of the time of a training step of Allegro on crystals. Here nothing is mapped by
    itself, and freed memory is taken again. Elsewhere than on glibc nothing is done but :func:`ask_for_huge_pages`.
    """
    ask_for_huge_pages()
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def ask_for_huge_pages() -> None:
    """Large tensors ask Linux for huge pages, unless the user said otherwise; it keeps the peak of memory down.

    Heeded only before PyTorch makes its first tensor, and by processes started from now on.
    """
    if sys.platform == "linux":
        os.environ.setdefault(HUGE_PAGES, "1")


def most_resident() -> int:
    """Most bytes of memory that this process held. On Linux ``ru_maxrss`` begins with that of whoever started it."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def hold_collection() -> None:
    """Look for no garbage from now on: while packages are imported and a model is built there is hardly any.

    The search took one of five seconds of processor time from the command to the first step. Only the first run of a
    process is spared it; what :func:`begin_collection` set aside then is set aside once.
    """
    if gc.get_freeze_count() == 0:
        gc.disable()


def begin_collection() -> None:
    """Look for garbage again if that is held, among what is made from now on; all there is so far stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
