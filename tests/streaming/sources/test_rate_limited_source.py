from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.left_out import LeftOut
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.rate_limited import RateLimitedSource


class FakeClock:
    """A clock that only moves when someone waits or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


class SlowFilm(Source):
    """Three frames, each of which takes some time to read."""

    def __init__(self, clock: FakeClock, costs_s: list[float]) -> None:
        super().__init__(SourceInfo("film", live=False, fps=25.0, frames=len(costs_s)))
        self.clock, self.costs_s, self.closed = clock, costs_s, False

    def __iter__(self) -> Iterator[Frame]:
        for index, cost in enumerate(self.costs_s):
            self.clock.now += cost
            yield Frame(np.zeros((2, 2, 3), np.uint8), index, self.clock.now, "film")

    def close(self) -> None:
        self.closed = True


def times(costs_s: list[float], fps: float) -> list[float]:
    clock = FakeClock()
    with RateLimitedSource(SlowFilm(clock, costs_s), fps, clock=clock, wait=clock.wait) as source:
        return [round(frame.captured_at - 100, 6) for frame in source]


def test_frames_come_at_their_times_though_reading_takes_a_while() -> None:
    assert times([0.02, 0.05, 0.01, 0.03], fps=10) == [0.02, 0.1, 0.2, 0.3]


def test_a_late_frame_delays_the_film_and_does_not_make_it_race() -> None:
    assert times([0.0, 0.5, 0.0, 0.0], fps=10) == [0.0, 0.5, 0.5, 0.6]


def test_it_is_live_at_its_pace_and_closes_what_it_plays() -> None:
    clock = FakeClock()
    film = SlowFilm(clock, [0.0])
    with RateLimitedSource(film, 50, clock=clock) as source:
        assert source.info == SourceInfo("film", live=True, fps=50, frames=1)
    assert film.closed


def test_an_interrupt_ends_the_wait() -> None:
    clock = FakeClock()
    source = RateLimitedSource(SlowFilm(clock, [0.0, 0.0]), fps=0.001, clock=clock)
    frames = iter(source)
    next(frames)
    source.interrupt()
    assert list(frames) == []


@pytest.mark.parametrize("fps", [0.0, -5.0, math.nan, math.inf, 5e-324])
def test_a_pace_that_is_no_positive_number_is_refused(fps: float) -> None:
    with pytest.raises(InputError, match="--pace is out of range"):
        RateLimitedSource(SlowFilm(FakeClock(), []), fps)


def test_what_the_source_leaves_out_is_told() -> None:
    film = SlowFilm(FakeClock(), [0.0])
    with RateLimitedSource(film, 25.0) as source:
        film.left_out = (LeftOut("a.jpg", "is truncated"),)
    assert source.left_out == film.left_out
