"""Keep the memory that a training step frees for the next step, where the C library would give it back."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # parameters of glibc's mallopt
_NEVER = -1  # of _TRIM_THRESHOLD
_USUAL_MAPPINGS = 65536
_LARGEST_MMAP_THRESHOLD = 32 << 20  # that glibc comes to by itself; it trims from twice as much on
_CHOSEN_BY_USER = ("GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let the process keep what it frees until the block ends, and give it back then.

    A step frees its activations and gradients, and the next one takes as much. glibc unmaps blocks of 32 MiB and more
    at once, and trims what is free at the end of its heap; each page is then faulted in and cleared again, which took a
    third of SSDLite320's step on two threads (docs/measured.md). The peak is that of a step either way.

    Without glibc, and where the environment has settings for its allocator, nothing is done. At the end the thresholds
    are those that glibc comes to by itself in a process with large blocks. Of two trainings at once the first to end
    ends it for both.
    """
    glibc = _glibc()
    if glibc is None:
        yield
        return
    glibc.mallopt(_MMAP_MAX, 0)
    glibc.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        glibc.mallopt(_MMAP_MAX, _USUAL_MAPPINGS)
        glibc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        glibc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        glibc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is glibc and its user has not tuned it."""
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _CHOSEN_BY_USER):
        return None
    library = ctypes.CDLL(None)
    library.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
