"""OpenCV's thread pool: kept out of use for a while, and safe to leave out in a forked process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


class _Pool:
    """Who uses :func:`no_opencv_pool`, and what was set before."""

    def __init__(self) -> None:
        self.lock, self.users, self.threads = threading.Lock(), 0, 0
        self.may_be_resized = True

    def after_fork(self) -> None:
        """Never touch the pool again: its threads stayed in the parent, and ``cv2.setNumThreads`` would wait for them.

        The lock is made anew: another thread of the parent may have held it.
        """
        self.lock, self.may_be_resized = threading.Lock(), False


_POOL = _Pool()
os.register_at_fork(after_in_child=_POOL.after_fork)


@contextmanager
def no_opencv_pool() -> Iterator[None]:
    """Have OpenCV compute on the calling thread inside the block, in the whole process.

    Two uses. Streams have threads of their own, and the pool spins after each resize of some microseconds: half a
    millisecond of processor time a frame, which the engine then lacks. And processes that are forked inside the block
    inherit no pool without its threads, which would hang.

    Blocks may overlap; the last one to end restores the number of threads. In a process that was itself forked, the
    block does nothing, because changing the number could wait forever for threads that only the parent has.
    """
    with _POOL.lock:
        if _POOL.users == 0:
            _POOL.threads = cv2.getNumThreads()
            _set_threads(1)
        _POOL.users += 1
    try:
        yield
    finally:
        with _POOL.lock:
            _POOL.users -= 1
            if _POOL.users == 0:
                _set_threads(_POOL.threads)


def _set_threads(count: int) -> None:
    if _POOL.may_be_resized:
        cv2.setNumThreads(count)
