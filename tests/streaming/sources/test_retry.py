from __future__ import annotations

import pytest

from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.streaming.states import StreamReason


class Fixed:
    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.5), (1.0, 1.0)])
def test_waits_double_up_to_the_longest_with_jitter(drawn: float, share: float) -> None:
    retry = Retry(first_wait_s=0.5, longest_wait_s=3.0)
    waits = [retry.wait_s(attempt, StreamReason.END, Fixed(drawn)) for attempt in (0, 1, 2, 3, 4, 10_000)]
    assert waits == [share * wait for wait in (0.5, 1.0, 2.0, 3.0, 3.0, 3.0)]


def test_no_wait_of_a_network_failure_exceeds_the_bound() -> None:
    retry = Retry()
    assert all(retry.wait_s(attempt, StreamReason.TIMEOUT) <= retry.longest_wait_s for attempt in range(200))


@pytest.mark.parametrize("reason", [StreamReason.AUTHENTICATION, StreamReason.TLS, StreamReason.CODEC])
def test_what_does_not_mend_itself_is_tried_once_a_minute_at_most(reason: StreamReason) -> None:
    assert all(Retry().wait_s(attempt, reason) >= 60 for attempt in range(5))


def test_the_tries_are_bounded_where_that_is_asked() -> None:
    assert [Retry(most=2).allows(attempt) for attempt in range(4)] == [True, True, False, False]
    assert Retry().allows(10**9)
