"""Keep memory that a step has freed for the next one, instead of handing it back to the system and asking again."""

from __future__ import annotations

import ctypes
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
