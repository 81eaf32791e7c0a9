"""Stop requests: how a run is asked to end in good order, with whole files and its summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 3.0
"""Seconds that closing files and the GPU may take before another signal interrupts it."""

_began: list[float] = []


def begin_closing() -> None:
    """Note that closing begins now."""
    _began[:] = [time.monotonic()]


def is_closing() -> bool:
    """Return whether closing began not long ago, so that a signal that asks for it has nothing to add."""
    return bool(_began) and time.monotonic() - _began[0] < PATIENCE_S


class StopRequest:
    """Set once, from a key, a signal handler or another thread; a run looks at it between frames.

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
    def active(self) -> Iterator[None]:
        """Entered by a run for as long as it looks at the request, closing included; before it, nobody would answer."""
        yield


class ReloadRequest:
    """Set from a signal handler or another thread, any number of times; a run looks at it and takes it back."""

    def __init__(self) -> None:
        self._requested = False

    def request(self) -> None:
        """Ask."""
        self._requested = True

    def take(self) -> bool:
        """Return whether someone has asked since the last look."""
        was, self._requested = self._requested, False
        return was

    @contextmanager
    def active(self) -> Iterator[None]:
        """Entered by a run for as long as it looks at the request."""
        yield
