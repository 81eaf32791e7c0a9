from __future__ import annotations

import pytest

from ssd_edge.backends import cpu
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector
from ssd_edge.core.choices import Goal
from ssd_edge.streaming import layout
from ssd_edge.streaming.layout import Measured, open_fastest, threads_for
from tests.streaming.test_many_streams import Batches


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "physical_cores", lambda: 4)


class Opener:
    """Opens backends of so many workers as it is asked for, or of its own number, and remembers them."""

    def __init__(self, own: int | None = None) -> None:
        self.own = own
        self.opened: list[tuple[Threads, Batches]] = []

    def __call__(self, threads: Threads) -> Detector:
        self.opened.append((threads, Batches(workers=self.own or threads.workers)))
        return Detector(self.opened[-1][1])


@pytest.mark.parametrize("fastest", [Threads.for_latency(4), Threads.for_throughput(4)], ids=["one", "four"])
def test_the_faster_layout_is_opened_anew_and_what_was_tried_is_closed(
    monkeypatch: pytest.MonkeyPatch, fastest: Threads
) -> None:
    speeds = {fastest.workers: Measured(2, 90.0)}
    monkeypatch.setattr(layout, "measure_batches", lambda tried, _: speeds.get(tried.workers, Measured(1, 30.0)))
    opener = Opener()
    found = open_fastest(opener, 8)
    tried = [threads for threads, _ in opener.opened]
    assert tried == [Threads.for_latency(4), Threads.for_throughput(4), fastest]
    assert (found.threads, found.batch, found.detector.workers) == (fastest, 2, fastest.workers)
    assert [backend.closed for _, backend in opener.opened] == [1, 1, 0]


def test_an_engine_with_a_layout_of_its_own_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "measure_batches", lambda *_: Measured(8, 200.0))
    opener = Opener(own=3)
    found = open_fastest(opener, 8)
    assert [threads for threads, _ in opener.opened] == [Threads.for_latency(4)] * 2
    assert (found.detector.workers, found.batch) == (3, 8)
    assert [backend.closed for _, backend in opener.opened] == [1, 0]


@pytest.mark.parametrize(
    ("cores", "threads"),
    [
        (1, Threads(1, 1)),
        (6, Threads(6, 1)),
        (16, Threads(16, 1)),
        (24, Threads(12, 2)),
        (40, Threads(13, 3)),
        (64, Threads(16, 4)),
    ],
)
def test_many_cores_do_not_mean_as_many_frames_on_their_way(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: Threads
) -> None:
    monkeypatch.setattr(cpu, "physical_cores", lambda: cores)
    assert threads_for(Goal.THROUGHPUT) == threads
    assert threads_for(Goal.LATENCY) == Threads(1, cores)
