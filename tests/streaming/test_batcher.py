from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ssd_edge.core.frame import Frame
from ssd_edge.streaming.batcher import Batcher, Captured, Lane

LIMIT_S = 10.0  # a test that would hang fails instead


def captured(index: int, *, age_s: float = 0.0) -> Captured:
    pixels = np.zeros((2, 2, 3), np.uint8)
    return Captured(Frame(pixels, index, time.monotonic() - age_s, "it"), pixels, 0.0, 0.0)


def batcher(*lanes: Lane, most: int = 1, wait_s: float = 0.0) -> Batcher:
    found = Batcher(most, wait_s)
    for lane in lanes:
        found.add(lane)
    found.close()
    return found


def indexes(batch: list) -> list[int]:
    return [taken.captured.frame.index for taken in batch]


def test_a_file_loses_nothing_and_keeps_its_order() -> None:
    lane = Lane(live=False, capacity=3, most_in_flight=4)
    frames = batcher(lane)

    def produce() -> None:
        for index in range(300):
            assert frames.put(lane, captured(index))
        frames.finish(lane)

    with ThreadPoolExecutor(1) as threads:
        producer = threads.submit(produce)
        taken = []
        while batch := frames.take():
            taken += [(one.number, one.captured.frame.index) for one in batch]
            frames.done(lane)
        producer.result(LIMIT_S)
    assert taken == [(index, index) for index in range(300)]


def test_the_newest_frame_of_a_live_stream_wins_and_the_others_are_counted() -> None:
    dropped: list[int] = []
    lane = Lane(live=True, dropped=dropped.append)
    frames = batcher(lane)
    for index in range(5):
        assert frames.put(lane, captured(index))
    assert indexes(frames.take()) == [4]
    assert sum(dropped) == 4


def test_frames_of_one_burst_are_kept_and_later_ones_replace_them() -> None:
    dropped: list[int] = []
    lane = Lane(live=True, capacity=3, most_in_flight=9, dropped=dropped.append)
    frames = batcher(lane, most=4)
    for index in range(4):
        frames.put(lane, captured(index))
    assert indexes(frames.take()) == [1, 2, 3]
    for index in (4, 5):
        frames.put(lane, captured(index))
        time.sleep(0.05)
    assert indexes(frames.take()) == [5]
    assert sum(dropped) == 2


def test_a_frame_that_is_too_old_is_dropped() -> None:
    dropped: list[int] = []
    lane = Lane(live=True, max_age_s=1.0, dropped=dropped.append)
    frames = batcher(lane)
    frames.put(lane, captured(0, age_s=1.5))
    threading.Timer(0.05, lambda: frames.put(lane, captured(1))).start()
    assert indexes(frames.take()) == [1]
    assert sum(dropped) == 1


def test_a_batch_takes_a_frame_of_each_and_those_first_that_waited_longest() -> None:
    lanes = [Lane(live=True, most_in_flight=100) for _ in range(5)]
    frames = batcher(*lanes, most=2)
    served = [0] * 5
    for _ in range(50):
        for number, lane in enumerate(lanes):
            frames.put(lane, captured(number))
        batch = frames.take()
        assert len({id(taken.lane) for taken in batch}) == 2
        for taken in batch:
            served[lanes.index(taken.lane)] += 1
            frames.done(taken.lane)
    assert served == [20] * 5


def test_a_fast_stream_takes_nothing_from_a_slow_one() -> None:
    fast, slow = Lane(live=False, capacity=8, most_in_flight=100), Lane(live=True)
    frames = batcher(fast, slow, most=4)
    for index in range(8):
        frames.put(fast, captured(index))
    frames.put(slow, captured(99))
    assert indexes(frames.take()) == [0, 99, 1, 2]


def test_a_stream_whose_results_wait_is_passed_over() -> None:
    stuck, free = Lane(live=True, most_in_flight=1), Lane(live=True, most_in_flight=1)
    frames = batcher(stuck, free)
    frames.put(stuck, captured(0))
    assert indexes(frames.take()) == [0]
    for index in (1, 2):
        frames.put(stuck, captured(index))
        frames.put(free, captured(10 + index))
        assert indexes(frames.take()) == [10 + index]
        frames.done(free)
    frames.done(stuck)
    assert indexes(frames.take()) == [2]


def test_others_are_waited_for_so_long_and_no_longer() -> None:
    first, second = Lane(live=True, most_in_flight=9), Lane(live=True, most_in_flight=9)
    frames = batcher(first, second, most=2, wait_s=0.3)
    frames.put(second, captured(5))
    frames.put(first, captured(0))
    assert sorted(indexes(frames.take())) == [0, 5]
    frames.put(first, captured(1))
    threading.Timer(0.05, lambda: frames.put(second, captured(6))).start()
    assert indexes(frames.take()) == [1, 6]
    began = time.monotonic()
    frames.put(first, captured(2))
    assert indexes(frames.take()) == [2]
    assert 0.25 < time.monotonic() - began < 2.0


def test_a_stream_that_gives_nothing_is_not_waited_for() -> None:
    alive, dead = Lane(live=True), Lane(live=True)
    frames = batcher(alive, dead, most=2, wait_s=5.0)
    began = time.monotonic()
    frames.put(alive, captured(0))
    assert indexes(frames.take()) == [0]
    assert time.monotonic() - began < 2.0


def test_the_end_comes_after_what_lies_here() -> None:
    lane = Lane(live=False, capacity=2, most_in_flight=9)
    frames = batcher(lane)
    frames.put(lane, captured(0))
    frames.finish(lane)
    assert not frames.put(lane, captured(1))
    assert indexes(frames.take()) == [0]
    assert frames.take() == []


def test_as_many_are_taken_as_are_wanted() -> None:
    lane = Lane(live=False, capacity=5, most_in_flight=9, most_frames=2)
    frames = batcher(lane, most=4)
    for index in range(3):
        frames.put(lane, captured(index))
    assert indexes(frames.take()) == [0, 1]
    assert not frames.put(lane, captured(3))
    assert frames.take() == []


@pytest.mark.parametrize("end", ["abandon", "remove"])
def test_whoever_waits_is_released(end: str) -> None:
    lane = Lane(live=False, capacity=1)
    frames = batcher(lane)
    frames.put(lane, captured(0))
    with ThreadPoolExecutor(1) as threads:
        full = threads.submit(frames.put, lane, captured(1))
        time.sleep(0.05)
        frames.abandon() if end == "abandon" else frames.remove(lane)
        assert full.result(LIMIT_S) is False
    assert frames.take() == []


def test_no_frame_is_forgotten_where_many_threads_put_and_take() -> None:
    lanes = [Lane(live=False, capacity=2, most_in_flight=3) for _ in range(5)]
    frames, seen, writing = batcher(*lanes, most=3), [0] * len(lanes), threading.Lock()

    def produce(lane: Lane) -> None:
        for index in range(400):
            assert frames.put(lane, captured(index))
        frames.finish(lane)

    def consume() -> None:
        while batch := frames.take():
            for taken in batch:
                with writing:
                    seen[lanes.index(taken.lane)] += 1
                frames.done(taken.lane)

    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(produce, lane) for lane in lanes] + [threads.submit(consume) for _ in range(3)]
        for one in work:
            one.result(6 * LIMIT_S)
    assert seen == [400] * len(lanes)
