"""Signal handlers of the command line; the library installs none.

Ctrl-C, SIGTERM and SIGHUP (a closed terminal, a dropped connection) end a command in the same way.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from ssd_edge.core.native_lines import output_descriptors
from ssd_edge.core.shutdown import ReloadRequest, StopRequest, is_closing

BROKEN_PIPE = 128 + signal.SIGPIPE
"""Exit code of a command whose output has lost its reader."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a command to end."""

_terminals: list[int] = []


def note_terminals() -> None:
    """Remember which of stdout and stderr are a terminal; this cannot be found out after the terminal is closed."""
    _terminals[:] = [number for number in output_descriptors() if os.isatty(number)]


def leave_closed_terminal() -> None:
    """Discard further output if the terminal is closed: writing to it would fail."""
    for number in _terminals:
        if not os.isatty(number):
            _drop(number)


def is_reader_gone() -> bool:
    """Return whether stdout or stderr is a pipe or socket whose reader has gone."""
    watch = select.poll()
    for number in output_descriptors():
        watch.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def drop_stdout() -> None:
    """Discard further output on stdout: Python flushes it at exit and would report an error."""
    _drop(1)


def drop_unread_output() -> None:
    """Discard further output on stdout, and on stderr where its reader has gone too."""
    watch = select.poll()
    for number in output_descriptors()[1:]:
        watch.register(number, 0)
    for number in (1, *(number for number, event in watch.poll(0) if event & (select.POLLERR | select.POLLHUP))):
        _drop(number)


def _drop(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class SignalStop(StopRequest):
    """A stop request that Ctrl-C, SIGTERM and SIGHUP set while the run is stoppable."""

    @contextmanager
    def active(self) -> Iterator[None]:
        """Handle signals inside the block."""
        with stopped_by_signals(self):
            yield


class SignalReload(ReloadRequest):
    """A request to take up engine and streams anew that SIGUSR1 makes; it must be made on the main thread.

    The signal counts from the first moment on: one that comes while the engine is opened is answered once it is, and
    does not end the process, as it would by default.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before = signal.signal(signal.SIGUSR1, lambda _number, _frame: self.request())

    @contextmanager
    def active(self) -> Iterator[None]:
        """Handle the signal inside the block, and restore the handler that was there before this was made."""
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, self._before)


@contextmanager
def stopped_by_signals(stop: StopRequest) -> Iterator[None]:
    """Let the signals of :data:`ENDING` set ``stop`` inside the block; a second signal has its usual effect.

    An ignored signal stays ignored, as nohup and background jobs of shells need it. Enter it on the main thread.
    """
    found = {number: signal.getsignal(number) for number in ENDING}
    # None is a handler of a C library, which Python could not restore.
    before = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_closed_terminal()
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


_AT_ONCE = 3


@contextmanager
def one_stop() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, ignore the second, and end the process at the third.

    A second KeyboardInterrupt while data workers and processes are ended would leave tracebacks and partial files.
    A handler that was set by the program is kept.
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
