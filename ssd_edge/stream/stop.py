"""How a run is asked to end in good order: files are closed, and the summary is shown."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Set once, from a key, a signal or another thread; the pipeline looks at it between frames.

    It is a plain flag and no Event: a signal handler runs in the middle of whatever the main thread does, and must
    not wait for a lock that this very thread may hold.
    """

    def __init__(self) -> None:
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether someone has asked."""
        return self._requested

    def request(self) -> None:
        """Ask."""
        self._requested = True


@contextmanager
def stopped_by_signals(stop: StopRequest) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set ``stop`` inside the block; a second one acts as it did before.

    Must be entered on the main thread.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.request()
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
