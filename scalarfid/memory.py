"""What an entry point sets for its whole process: memory that a step has freed is kept, garbage is looked for later."""

from __future__ import annotations

import ctypes
import gc
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
MAPPED_ABOVE, KEPT = 1 << 25, 1 << 29
"""Bytes: the largest threshold that every glibc accepts, and how much free memory a process may hold on to."""


def keep_freed_memory() -> None:
    """Tune the C library's allocator for the whole process: for entry points, which own theirs.

    Tensors of 0.1 to 32 MB come and go thousands of times a second. By default glibc maps each anew, and the system
    clears every page of it: a third of the time of a training step of Allegro. Elsewhere than on glibc nothing is done.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_ABOVE)
        mallopt(M_TRIM_THRESHOLD, KEPT)


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
