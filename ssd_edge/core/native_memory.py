"""Memory that the system's allocator keeps: for threads, and between what is in use."""

from __future__ import annotations

import ctypes
import os
import sys

_M_ARENA_MAX = -8  # of malloc.h
_ARENAS = 2


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


def _call(name: str, *numbers: int) -> int:
    """Return what a function of the C library returns; 0 where it has none of that name."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return int(getattr(ctypes.CDLL(None), name)(*numbers))
    except (AttributeError, OSError):  # another C library
        return 0
