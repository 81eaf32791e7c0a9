from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ssd_edge.streaming.pipeline import FrameBuffer, Policy

LIMIT_S = 10.0  # a test that would hang fails instead


def test_fifo_loses_nothing_and_keeps_the_order() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("fifo", capacity=3)

    def produce() -> None:
        for item in range(500):
            assert buffer.put(item)
        buffer.finish()

    with ThreadPoolExecutor(1) as threads:
        producer = threads.submit(produce)
        taken = []
        while (item := buffer.get(LIMIT_S)) is not None:
            taken.append(item)
        producer.result(LIMIT_S)
    assert taken == list(range(500))
    assert buffer.dropped == 0


def test_latest_drops_the_oldest_and_counts() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("latest")
    for item in range(5):
        assert buffer.put(item)
    assert buffer.get(LIMIT_S) == 4
    assert buffer.dropped == 4
    buffer.put(5)
    assert (buffer.get(LIMIT_S), buffer.dropped) == (5, 4)


def test_fifo_makes_the_producer_wait() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("fifo", capacity=1)
    buffer.put(0)
    second = threading.Thread(target=buffer.put, args=(1,))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    assert buffer.get(LIMIT_S) == 0
    second.join(LIMIT_S)
    assert not second.is_alive()


@pytest.mark.parametrize("policy", ["latest", "fifo"])
def test_what_lies_there_can_be_taken_after_the_end(policy: Policy) -> None:
    buffer: FrameBuffer[int] = FrameBuffer(policy, capacity=2)
    buffer.put(1)
    buffer.put(2)
    buffer.finish()
    assert not buffer.exhausted
    assert [buffer.get(LIMIT_S) for _ in range(3)] == [1, 2, None]
    assert buffer.exhausted


def test_get_gives_up_after_its_timeout() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("latest")
    assert buffer.get(0.01) is None
    assert not buffer.exhausted


def test_abandoning_releases_whoever_waits_to_put() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("fifo", capacity=1)
    buffer.put(0)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(buffer.put, item) for item in (1, 2)]
        buffer.abandon()
        assert [put.result(LIMIT_S) for put in waiting] == [False, False]
    assert buffer.put(3) is False
    assert buffer.get(LIMIT_S) is None
    assert buffer.exhausted


@pytest.mark.parametrize("end", ["finish", "abandon"])
def test_the_end_releases_whoever_waits_to_get(end: str) -> None:
    buffer: FrameBuffer[int] = FrameBuffer("fifo")
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(buffer.get) for _ in range(2)]
        getattr(buffer, end)()
        assert [get.result(LIMIT_S) for get in waiting] == [None, None]


def test_several_consumers_share_the_items_without_loss() -> None:
    buffer: FrameBuffer[int] = FrameBuffer("fifo", capacity=2)

    def consume() -> list[int]:
        taken = []
        while (item := buffer.get(LIMIT_S)) is not None:
            taken.append(item)
        return taken

    with ThreadPoolExecutor(3) as threads:
        consumers = [threads.submit(consume) for _ in range(3)]
        for item in range(300):
            buffer.put(item)
        buffer.finish()
        taken = [consumer.result(LIMIT_S) for consumer in consumers]
    assert sorted(item for share in taken for item in share) == list(range(300))
    assert all(share == sorted(share) for share in taken)
