"""Memory that the system's allocator keeps for threads."""

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
    if not sys.platform.startswith("linux") or {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (AttributeError, OSError):  # another C library
        return False
