"""Signals that end a command in good order; the library itself installs no handler."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ssd_edge.core.shutdown import StopRequest, is_closing


class SignalStop(StopRequest):
    """A stop request that Ctrl-C and SIGTERM make, from when the run heeds it."""

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Answer signals inside the block."""
        with stopped_by_signals(self):
            yield


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
