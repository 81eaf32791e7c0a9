"""When a source that failed is opened again: waits that grow, with jitter, and bounds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from ssd_edge.streaming.states import SLOW_REASONS, StreamReason


class _Random(Protocol):
    def random(self) -> float:
        """Return a number in [0, 1)."""


@dataclass(frozen=True)
class Retry:
    """Retry policy: number of attempts to reopen a source, and the waits between them.

    Attributes:
        most: tries in a row without a frame in between; None for no limit, 0 makes a stop final.
        first_wait_s: before the first try; each later wait is twice as long.
        longest_wait_s: no wait is longer, jitter included.
        slow_wait_s: the wait after a failure that does not fix itself (authentication, TLS, codec).
        wait_for_first: opens again also what was absent at its first opening.
    """

    most: int | None = None
    first_wait_s: float = 0.5
    longest_wait_s: float = 5.0
    slow_wait_s: float = 60.0
    wait_for_first: bool = True

    def wait_s(self, attempt: int, reason: StreamReason, chance: _Random = random) -> float:
        """Return the wait before try number ``attempt`` in a row, from 0.

        The wait is drawn from the upper half of its range, so that streams that one switch took away do not all come
        back in the same moment.
        """
        if reason in SLOW_REASONS:
            return self.slow_wait_s * (1 + 0.1 * chance.random())
        wait = min(self.first_wait_s * 2.0 ** min(attempt, 30), self.longest_wait_s)
        return wait * (0.5 + 0.5 * chance.random())

    def allows(self, attempt: int) -> bool:
        """Whether try number ``attempt`` in a row, from 0, may be made."""
        return self.most is None or attempt < self.most
