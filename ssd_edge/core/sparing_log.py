"""A log that a fault which lasts for weeks does not fill."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ssd_edge.core.log import log

_MOST = 3
_PERIOD_S = 600.0


class SparingLog:
    """Logs what is of one kind three times in ten minutes at most; what is left out is counted, and logged as DEBUG.

    Args:
        clock: seconds, like ``time.monotonic``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._kinds: dict[str, tuple[float, int, int]] = {}  # began, messages since, of these left out

    def write(self, level: int, kind: str, text: str) -> None:
        """Log a message.

        Args:
            level: of :mod:`logging`.
            kind: of few; messages of one kind share the limit, whatever their text.
            text: of the message.
        """
        with self._lock:
            now = self._clock()
            began, count, left_out = self._kinds.get(kind, (now, 0, 0))
            is_new = now - began > _PERIOD_S
            if is_new:
                began, count = now, 0
            is_said = count < _MOST
            earlier = left_out if is_new else 0
            self._kinds[kind] = (began, count + 1, (0 if is_new else left_out) + (not is_said))
        if earlier:
            text = f"{text} ({earlier} more such messages were left out)"
        log.log(level if is_said else logging.DEBUG, text)
