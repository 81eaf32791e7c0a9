"""State of a stream, with reason and counters.

::

    Starting --frame--> Running --no frame for the stall time--> Stalled --frame--> Running
       |                   |                                        |
       +--- it fails ------+-------------- as long again -----------+--> Retrying --frame--> Running
                                                                            |
                                             end, or no more tries --> Stopped
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class StreamState(str, Enum):
    """State of a stream."""

    STARTING = "starting"
    RUNNING = "running"
    STALLED = "stalled"
    RETRYING = "retrying"
    STOPPED = "stopped"


class StreamReason(str, Enum):
    """Reason of a stream's state."""

    AUTHENTICATION = "authentication"
    TLS = "TLS"
    TIMEOUT = "time-out"
    NOT_FOUND = "not found"
    CODEC = "codec"
    END = "end"
    ERROR = "error"


SLOW_REASONS = frozenset({StreamReason.AUTHENTICATION, StreamReason.TLS, StreamReason.CODEC})
"""Permanent failures: retried at most once a minute, so that a camera does not lock the account."""


class StreamError(Exception):
    """A source that cannot be opened or read just now.

    Args:
        reason: the kind of it.
        detail: what was found, in a few words, without any password.
    """

    def __init__(self, reason: StreamReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class StreamStatus:
    """A stream at one moment.

    Attributes:
        name: of the stream.
        state, reason, detail: what it is doing, and why; a running stream has no reason.
        since: when it came into this state, on the clock of ``time.monotonic``.
        read: frames that were decoded.
        skipped: frames that its own options left out: every N, a rate, no motion.
        dropped: frames of a live source that gave way to newer ones, or were too old.
        repeated: frames that came twice.
        results: frames that were inferred.
        stalls: times that no frame came for too long.
        retries: times that it was opened again.
        last_frame_at: capture of the newest frame on the clock of ``time.monotonic``; None before the first.
    """

    name: str
    state: StreamState = StreamState.STARTING
    reason: StreamReason | None = None
    detail: str = ""
    since: float = 0.0
    read: int = 0
    skipped: int = 0
    dropped: int = 0
    repeated: int = 0
    results: int = 0
    stalls: int = 0
    retries: int = 0
    last_frame_at: float | None = None


_COUNTS = ("read", "skipped", "dropped", "repeated", "results", "stalls", "retries")


class StreamMonitor:
    """Keeps a stream's status; any thread may write and read it.

    Args:
        name: of the stream.
        changed: receives each change of state, on the thread that makes it.
    """

    def __init__(self, name: str, changed: Callable[[StreamStatus], None] = lambda _: None) -> None:
        self._lock = threading.Lock()
        self._status = StreamStatus(name, since=time.monotonic())
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._last_frame_at: float | None = None
        self.changed = changed

    @property
    def status(self) -> StreamStatus:
        """The status now."""
        with self._lock:
            counts: dict[str, Any] = self._counts
            return replace(self._status, **counts, last_frame_at=self._last_frame_at)

    @property
    def state(self) -> StreamState:
        """The state now."""
        return self._status.state

    def enter(self, state: StreamState, reason: StreamReason | None = None, detail: str = "") -> None:
        """Note a state; one that is stopped stays so."""
        with self._lock:
            now = self._status
            if now.state is StreamState.STOPPED or (now.state, now.reason) == (state, reason):
                return
            self._status = replace(now, state=state, reason=reason, detail=detail, since=time.monotonic())
        self.changed(self.status)

    def count(self, *, last_frame_at: float | None = None, **counts: int) -> None:
        """Add to the counts, by their names in :class:`StreamStatus`, and note the newest frame's capture.

        Raises:
            KeyError: there is no such count.
        """
        with self._lock:
            for name, more in counts.items():
                self._counts[name] += more
            if last_frame_at is not None:
                self._last_frame_at = last_frame_at
