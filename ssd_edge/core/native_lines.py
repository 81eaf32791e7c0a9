"""Lines that native libraries write to file descriptor 2 by themselves: libjpeg, libpng and FFmpeg name no file there.

It can be dropped only where Python's own stderr is another descriptor: another thread may log at that very moment. The
command line sees to that; in other programs nothing is dropped here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

_STDERR = 2
_lock = threading.Lock()
_inside = 0
_kept = -1
_is_apart = False


def keep_python_apart() -> None:
    """Give Python's stderr a descriptor of its own; from now on :func:`image_lines_dropped` drops lines."""
    global _is_apart
    sys.stderr.flush()
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    sys.stderr = os.fdopen(os.dup(_STDERR), "w", buffering=1, encoding=encoding, errors=errors)
    _is_apart = True


def output_descriptors() -> tuple[int, ...]:
    """Return the descriptors of stdout and stderr, and that of Python's stderr where it is another."""
    with suppress(OSError, ValueError, AttributeError):  # a stream without one, as tests have it
        if (own := sys.stderr.fileno()) > _STDERR:
            return 1, _STDERR, own
    return 1, _STDERR


def image_lines_dropped() -> AbstractContextManager[None]:
    """Drop what native libraries write to stderr inside the block, where that takes nothing else along."""
    return lines_dropped() if _is_apart else nullcontext()


@contextmanager
def lines_dropped() -> Iterator[None]:
    """Drop all that is written to file descriptor 2 inside the block; several threads may be inside."""
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _drop()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept >= 0:
                os.dup2(_kept, _STDERR)
                os.close(_kept)


def _drop() -> int:
    """Return a copy of the descriptor that leads nowhere now; -1 where there is none, or no more can be opened."""
    try:
        kept = os.dup(_STDERR)
    except OSError:
        return -1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        os.close(kept)
        return -1
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    return kept
