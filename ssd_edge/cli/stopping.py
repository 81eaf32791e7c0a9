"""Ctrl-C while a run learns: the first stops it, and those that follow do not tear the stopping itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

_AT_ONCE = 3


@contextmanager
def one_stop() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, pass over a second, and end the process at the third.

    Data workers and processes are ended in places where another KeyboardInterrupt would leave tracebacks and files that
    are half-written. Whoever has set another handler keeps it.
    """
    presses = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses >= _AT_ONCE:
            os._exit(128 + number)
        if presses == 1:
            raise KeyboardInterrupt

    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
