"""Memory that the system's allocator keeps: for threads, and between what is in use."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_ARENA_MAX = -8  # of malloc.h
_ARENAS = 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_NEVER = -1  # of the trim threshold
_USUAL_MAPPINGS = 65536
_LARGEST_MMAP_THRESHOLD = 32 << 20  # that glibc comes to by itself; it trims from twice as much on
_KEPT_BY_USER = {"GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def limit_arenas() -> bool:
    """Have glibc serve all threads of this process from two heaps; return whether that was done.

    By default it opens up to eight a core, and what one thread frees no other can use: eight streams, with some forty
    threads of decoders, take a third more memory, and go on growing for an hour. A setting of the user
    (``MALLOC_ARENA_MAX``, ``GLIBC_TUNABLES``) is kept, and other systems are left alone. Only a command that has the
    process to itself may call this, before it begins threads.
    """
    if {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        return False
    return bool(_call("mallopt", _M_ARENA_MAX, _ARENAS))


def give_back() -> None:
    """Have glibc return to the system what lies free between what is in use; elsewhere nothing happens.

    An encoder or engine that is opened beside the old one, which then goes, leaves such holes: a run that cuts its
    videos every hour would grow for weeks. It takes some milliseconds.
    """
    _call("malloc_trim", 0)


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let the process keep what it frees until the block ends, and give it back then.

    A training step frees its activations and gradients, and the next one takes as much. glibc unmaps blocks of 32 MiB
    and more at once, and trims what is free at the end of its heap; each page is then faulted in and cleared again,
    which took a third of SSDLite320's step on two threads (docs/measured.md). The peak is that of a step either way.

    Without glibc, and where the environment has settings for its allocator, nothing is done. At the end the thresholds
    are those that glibc comes to by itself in a process with large blocks. Of two blocks at once the first to end
    ends it for both.
    """
    if _KEPT_BY_USER & os.environ.keys() or not _call("mallopt", _M_MMAP_MAX, 0):
        yield
        return
    _call("mallopt", _M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        _call("mallopt", _M_MMAP_MAX, _USUAL_MAPPINGS)
        _call("mallopt", _M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        _call("mallopt", _M_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        give_back()


def _call(name: str, *numbers: int) -> int:
    """Return what a function of the C library returns; 0 where it has none of that name."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return int(getattr(ctypes.CDLL(None), name)(*numbers))
    except (AttributeError, OSError):  # another C library
        return 0
