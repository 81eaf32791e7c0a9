"""How a run is asked to end in good order: files are closed, and the summary is shown."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import TypeVar

_AT_ONCE = 3


@contextmanager
def one_stop() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, pass over a second, and end the process at the third.

    Data workers and processes are ended in places where another KeyboardInterrupt would leave tracebacks and files that
    are half-written. Whoever has set another handler keeps it.
    """
    presses = 0

    def stop(number: int, _: FrameType | None) -> None:
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


_left_behind: list[threading.Thread] = []

Result = TypeVar("Result")


def run_interruptible(work: Callable[[], Result], stop: threading.Event, *, patience_s: float) -> Result:
    """Return what ``work`` returns, while Ctrl-C and SIGTERM are answered though it never comes back to Python.

    It runs on a thread of its own. When a signal unwinds the caller, ``stop`` is set; work that does not heed it within
    ``patience_s`` seconds is left behind, and :func:`end_process` then ends the process over its head. So it may
    write no file and hold nothing that is to be given back.

    Raises:
        Exception: what ``work`` raises.
    """
    outcome: Future[Result] = Future()

    def carry() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.set_exception(error)

    thread = threading.Thread(target=carry, name="ssd-edge-interruptible", daemon=True)
    try:
        thread.start()
        return outcome.result()
    finally:
        if not outcome.done():
            stop.set()
            _left_behind.append(thread)
            wait([outcome], patience_s)


def end_process(code: int) -> None:
    """End the process at once where a thread was left behind: the exit handlers of its library would crash it."""
    if not any(thread.is_alive() for thread in _left_behind):
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


PATIENCE_S = 3.0
"""How long closing files and the GPU may take before another signal interrupts that too."""

_began: list[float] = []


def begin_closing() -> None:
    """Note that closing begins now."""
    _began[:] = [time.monotonic()]


def is_closing() -> bool:
    """Tell whether closing began not long ago, so that a signal that asks for it has nothing to add."""
    return bool(_began) and time.monotonic() - _began[0] < PATIENCE_S


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
