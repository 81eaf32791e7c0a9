from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sources import capture_clock
from ssd_edge.streaming.sources.live import LiveSource
from ssd_edge.streaming.sources.reader import Reader, StampedImage
from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.streaming.states import StreamError, StreamReason, StreamState

AT_ONCE = Retry(most=3, first_wait_s=0.0, slow_wait_s=0.0)
PERIOD_S = 0.005
Step = tuple[float | None, int]  # time stamp and gray level of a frame


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    due = time.monotonic() + 3
    while threading.active_count() > before and time.monotonic() < due:
        time.sleep(0.01)
    assert threading.active_count() == before


class Device(Reader):
    """A camera that gives some frames, five milliseconds apart, and then does something else."""

    fps = 200.0

    def __init__(self, steps: Sequence[Step], then: Callable[[], None]) -> None:
        self.steps, self.then = list(steps), then
        self.closed = False

    def read(self) -> StampedImage:
        time.sleep(PERIOD_S)
        if not self.steps:
            self.then()
        stamp, level = self.steps.pop(0)
        return StampedImage(np.full((4, 6, 3), level, np.uint8), stamp)

    def close(self) -> None:
        self.closed = True


def fails(reason: StreamReason = StreamReason.END) -> Callable[[], None]:
    def fail() -> None:
        raise StreamError(reason, "as the test wants it")

    return fail


def levels(*found: int) -> list[Step]:
    return [(None, level) for level in found]


def live(
    *devices: Reader | StreamError, retry: Retry = AT_ONCE, stall_s: float = 2.0, first_s: float = 5.0
) -> LiveSource:
    """A camera that gives the devices one after the other as it is opened, and is gone then."""
    later = list(devices)

    def opener() -> Reader:
        found = later.pop(0) if later else StreamError(StreamReason.NOT_FOUND, "gone")
        if isinstance(found, StreamError):
            raise found
        return found

    return LiveSource("camera 0", opener, retry=retry, stall_s=stall_s, first_frame_s=first_s)


def drain(source: LiveSource) -> tuple[list[Frame], DeviceError]:
    """Every frame until the source stops for good, and why it did."""
    frames: list[Frame] = []
    with pytest.raises(DeviceError) as stopped:
        for frame in source:
            frames.append(frame)
    return frames, stopped.value


def test_a_camera_that_stops_is_opened_again_and_counts_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssd_edge")
    first, second = Device(levels(1, 2), fails()), Device(levels(3), fails())
    source = live(first, StreamError(StreamReason.TIMEOUT, "no answer"), second, retry=Retry(most=4, first_wait_s=0.0))
    frames, stopped = drain(source)
    assert [(frame.index, int(frame.image[0, 0, 0])) for frame in frames] == [(0, 1), (1, 2), (2, 3)]
    assert frames[0].segment == frames[1].segment == 0 < frames[2].segment
    assert "camera 0 ended after 3 frames: got not found: gone" in str(stopped)
    assert first.closed
    assert second.closed
    assert caplog.messages[:3] == [
        "camera 0: end (as the test wants it); next try in 0.0 s, try 1 of 4",
        "camera 0: time-out (no answer); next try in 0.0 s, try 2 of 4",
        "camera 0 is back",
    ]
    status = source.monitor.status
    assert (status.state, status.reason) == (StreamState.STOPPED, StreamReason.NOT_FOUND)
    assert (status.read, status.retries) == (3, 4)


def test_states_come_in_order() -> None:
    seen = []
    source = live(
        Device(levels(1), fails()), Device(levels(2), fails(StreamReason.CODEC)), retry=replace(AT_ONCE, most=2)
    )
    source.monitor.changed = lambda status: seen.append((status.state, status.reason))
    drain(source)
    assert seen == [
        (StreamState.RUNNING, None),
        (StreamState.RETRYING, StreamReason.END),
        (StreamState.RUNNING, None),
        (StreamState.RETRYING, StreamReason.CODEC),
        (StreamState.STOPPED, StreamReason.NOT_FOUND),
    ]


@pytest.mark.parametrize("waits", [True, False])
def test_the_first_opening_is_tried_again_where_the_source_is_waited_for(waits: bool) -> None:
    retry = Retry(most=2, first_wait_s=0.0, wait_for_first=waits)
    source = live(StreamError(StreamReason.NOT_FOUND, "no camera"), Device(levels(1), fails()), retry=retry)
    frames, stopped = drain(source)
    assert [frame.index for frame in frames] == ([0] if waits else [])
    assert ("camera 0 cannot be opened: got not found: no camera" in str(stopped)) != waits


def test_an_absent_device_is_named_when_it_must_be_there() -> None:
    source = live(StreamError(StreamReason.NOT_FOUND, "no camera"), retry=Retry(wait_for_first=False))
    with pytest.raises(DeviceError, match="camera 0 cannot be opened: got not found: no camera"):
        source.open(5.0)
    source.close()


def test_the_rate_is_known_once_it_is_open() -> None:
    with live(Device(levels(1, 2, 3), fails())) as source:
        assert source.open(5.0)
        assert source.info.fps == 200.0


def test_no_tries_make_a_stop_final() -> None:
    frames, stopped = drain(live(Device(levels(1), fails()), Device(levels(2), fails()), retry=Retry(most=0)))
    assert len(frames) == 1
    assert "ended after 1 frames" in str(stopped)


def test_a_silence_is_a_stall_and_then_a_reason_to_open_it_again() -> None:
    hang, seen = threading.Event(), []

    def silent() -> None:
        hang.wait(10)
        raise StreamError(StreamReason.END, "late")

    source = live(
        Device(levels(1), silent), Device(levels(2), fails()), retry=Retry(most=1, first_wait_s=0), stall_s=0.1
    )
    source.monitor.changed = lambda status: seen.append((status.state, time.monotonic()))
    began = time.monotonic()
    frames, _ = drain(source)
    hang.set()
    at = dict(reversed(seen))
    assert [frame.index for frame in frames] == [0, 1]
    assert 0.1 <= at[StreamState.STALLED] - began < 0.6
    assert 0.1 <= at[StreamState.RETRYING] - at[StreamState.STALLED] < 0.5
    assert source.monitor.status.stalls == 1


def test_a_short_silence_needs_no_new_opening() -> None:
    class Hiccup(Device):
        def read(self) -> StampedImage:
            if len(self.steps) == 1:
                time.sleep(0.15)
            return super().read()

    source = live(Hiccup(levels(1, 2), fails()), retry=Retry(most=0), stall_s=0.1)
    frames, _ = drain(source)
    assert len(frames) == 2
    assert (source.monitor.status.stalls, source.monitor.status.retries) == (1, 0)


@pytest.mark.parametrize("moment", ["read", "opening", "wait"])
def test_an_interrupt_is_answered_at_once_though_something_hangs(moment: str) -> None:
    hang = threading.Event()

    def wait() -> None:
        hang.wait(10)
        raise StreamError(StreamReason.END, "late")

    def opener() -> Reader:
        if moment == "opening":
            wait()
        if moment == "wait":
            raise StreamError(StreamReason.AUTHENTICATION, "401")  # tried again in a minute
        return Device([], wait)

    source = LiveSource("camera 0", opener)
    threading.Timer(0.1, source.interrupt).start()
    began = time.monotonic()
    assert list(source) == []
    source.close()
    assert time.monotonic() - began < 1.5
    hang.set()


def test_what_comes_twice_is_counted_and_not_given() -> None:
    stamps = [(0.0, 1), (0.04, 2), (0.04, 2), (0.08, 3)]
    source = live(Device(stamps, fails()), retry=Retry(most=0))
    frames, _ = drain(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 3]
    assert source.monitor.status.repeated == 1


def test_times_are_those_of_the_time_stamps() -> None:
    stamps = [(7.0, 1), (7.005, 2), (7.010, 3), (7.015, 4)]
    frames, _ = drain(live(Device(stamps, fails()), retry=Retry(most=0)))
    steps = np.diff([frame.captured_at for frame in frames])
    assert frames[0].time == 0.0
    assert all(0 <= step <= 0.0051 for step in steps)  # never further apart than the stamps: only delays are corrected


def test_a_connection_that_lags_for_good_is_opened_anew() -> None:
    steps = [(0.0, 1), (0.01, 1), *((0.01 + 0.0001 * number, number) for number in range(1, 2000))]  # its clock crawls
    source = LiveSource(
        "camera 0",
        lambda: Device(steps, fails()),
        retry=Retry(most=1, first_wait_s=0.0),
        stall_s=0.1,
        max_age_s=0.2,
    )
    began = time.monotonic()
    _, stopped = drain(source)
    assert "time-out: frames are 0." in str(stopped)
    assert time.monotonic() - began < 5


def test_a_camera_that_is_gone_for_long_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    source = live(retry=Retry(most=200, first_wait_s=0.0))
    _, stopped = drain(source)
    assert "cannot be opened" in str(stopped)
    assert source.monitor.status.retries == 200
    assert len(caplog.messages) == 3


def test_attempts_that_hang_for_ever_do_not_grow_in_number() -> None:
    lets_go, opened = threading.Event(), []

    def opener() -> Reader:
        opened.append(1)
        lets_go.wait(30)
        raise StreamError(StreamReason.NOT_FOUND, "gone")

    retry = Retry(most=30, first_wait_s=0.001, longest_wait_s=0.001)
    source = LiveSource("camera 0", opener, retry=retry, first_frame_s=0.01)
    try:
        _, stopped = drain(source)
    finally:
        lets_go.set()
    assert len(opened) == 8
    assert "8 earlier attempts hang in the driver" in str(stopped)


def test_images_that_stay_the_same_are_counted_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture_clock, "_FROZEN_S", 0.0)  # from the first repetition on
    caplog.set_level(logging.INFO, "ssd_edge")
    source = live(Device(levels(1, 2, 2, 2, 3, 3, 4), fails()))
    frames, _ = drain(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 2, 2, 3, 3, 4]  # they are delivered all the same
    assert source.monitor.status.repeated == 3
    said = [line for line in caplog.messages if "has given the same image" in line]
    assert len(said) == 2  # at 2 and at 3, whatever the number of images


def test_a_dark_scene_is_no_frozen_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_clock, "_FROZEN_S", 0.0)
    source = live(Device(levels(0, 0, 0), fails()))
    drain(source)
    assert source.monitor.status.repeated == 0
