"""The one timer, on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ssd_edge.core.timing import Spread, Stopwatch, Timing, time_calls


class FakeClock:
    """Stands still until somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        """Return a call that takes these seconds in turn, the last again and again."""
        left = list(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


def test_calls_take_turns_and_warm_up_untimed() -> None:
    clock = FakeClock()
    calls = {"a": clock.work("a", 9, 1, 2, 3), "b": clock.work("b", 9, 2)}
    found = time_calls(calls, rounds=3, clock=clock)
    assert clock.calls == ["a", "b"] * 4
    assert found["a"].times_ms == (1000, 2000, 3000)
    assert found["b"].times_ms == (2000, 2000, 2000)


def test_untimed_calls_come_before_each_timed_one() -> None:
    clock = FakeClock()
    found = time_calls({"a": clock.work("a", 5, 1, 5, 1)}, rounds=2, warm_up=0, untimed=1, clock=clock)
    assert found["a"].times_ms == (1000, 1000)
    assert len(clock.calls) == 4


@pytest.mark.parametrize(("at_least", "expected"), [(1, 3), (5, 5)])
def test_no_round_begins_after_the_budget(at_least: int, expected: int) -> None:
    clock = FakeClock()
    calls = {"a": clock.work("a", 1), "b": clock.work("b", 1)}
    found = time_calls(calls, rounds=10, at_least=at_least, budget_s=5, clock=clock)
    assert {len(timing.times_ms) for timing in found.values()} == {expected}


def test_one_round_is_made_whatever_it_takes() -> None:
    clock = FakeClock()
    assert time_calls({"a": clock.work("a", 100)}, rounds=25, budget_s=6, clock=clock)["a"].median_ms == 100_000


def test_progress_is_told_after_each_round() -> None:
    told: list[tuple[int, int | None]] = []
    time_calls({1: int}, rounds=2, progress=lambda done, total, note="": told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_spread_of_values() -> None:
    found = Spread.of([float(number) for number in range(101)])
    assert found == Spread(0.0, 50.0, 50.0, 90.0, 95.0, 99.0, 100.0)


def test_ratio_of_rounds() -> None:
    whole, small = Timing((8.0, 30.0, 10.0)), Timing((4.0, 10.0, 5.0))
    assert whole.ratio_to(small) == 2.0
    assert whole.total_s == pytest.approx(0.048)
    assert whole.spread.minimum == 8.0


def test_a_stopwatch_counts_no_failure() -> None:
    clock = FakeClock()
    watch = Stopwatch(clock)
    with watch:
        clock.now += 0.5
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError
    assert watch.timing == Timing((500.0,))
    assert watch.last_ms == 500.0
