"""How a run is asked to end in good order: files are closed, and the summary is shown."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ssd_edge.core.patience import begin_closing, is_closing


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
        """Ask; a signal that comes soon after has nothing to add."""
        if not self._requested:
            begin_closing()
        self._requested = True


@contextmanager
def stopped_by_signals(stop: StopRequest) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set ``stop`` inside the block; a second one acts as it did before, if closing takes long.

    A signal that is ignored stays so: nohup, and shells that start a job in the background, mean it. Must be entered
    on the main thread.
    """
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # None is a handler of a library in C, which Python could not put back.
    before = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}

    def ask(number: int, _frame: FrameType | None) -> None:
        if not stop.requested:
            stop.request()
        elif not is_closing():
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
