from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources.live import LiveSource, Reconnect

AT_ONCE = Reconnect(attempts=3, first_wait_s=0.0)


class FakeCapture:
    """A device that gives some pictures and then stops."""

    def __init__(self, levels: Iterable[int]) -> None:
        self.levels = list(levels)
        self.released = False

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, np.full((4, 6, 3), self.levels.pop(0), np.uint8)) if self.levels else (False, None)

    def get(self, setting: int) -> float:
        return 30.0

    def release(self) -> None:
        self.released = True


def live(*captures: FakeCapture | None, reconnect: Reconnect = AT_ONCE) -> LiveSource:
    """A camera that gives the captures one after the other as it is opened again."""
    later = list(captures[1:])
    return LiveSource(
        "camera 0",
        captures[0],  # type: ignore[arg-type]
        lambda: later.pop(0) if later else None,  # type: ignore[arg-type, return-value]
        reconnect=reconnect,
    )


def test_a_camera_that_stops_is_opened_again_and_counts_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssd_edge")
    first, second = FakeCapture([1, 2]), FakeCapture([3])
    source = live(first, None, second)
    seen = []
    with pytest.raises(DeviceError, match="camera 0 stopped after 3 frames: got no frame after 3 tries"):
        for frame in source:
            seen.append((frame.index, int(frame.image[0, 0, 0])))
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert first.released
    assert second.released
    assert caplog.messages[:3] == [
        "camera 0 stopped after 2 frames; opening it again in 0 s (try 1 of 3)",
        "camera 0 stopped after 2 frames; opening it again in 0 s (try 2 of 3)",
        "camera 0 is back",
    ]


def test_a_camera_without_any_frame_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    source = live(FakeCapture([]), FakeCapture([1]))
    with pytest.raises(DeviceError, match="camera 0 gives no frames"):
        next(iter(source))
    assert caplog.messages == []


def test_no_tries_make_a_stop_final() -> None:
    source = live(FakeCapture([1]), FakeCapture([2]), reconnect=Reconnect(attempts=0))
    frames = iter(source)
    next(frames)
    with pytest.raises(DeviceError, match="stopped after 1 frames"):
        next(frames)


def test_an_interrupt_ends_the_wait_for_the_next_try(caplog: pytest.LogCaptureFixture) -> None:
    source = live(FakeCapture([1]), FakeCapture([2]), reconnect=Reconnect(first_wait_s=3600, longest_wait_s=3600))
    frames = iter(source)
    next(frames)
    source.interrupt()
    assert list(frames) == []
    assert len(caplog.messages) == 1


def test_closing_releases_the_device() -> None:
    capture = FakeCapture([1])
    with live(capture) as source:
        assert (source.info.live, source.info.fps) == (True, 30.0)
    assert capture.released


def test_waits_double_up_to_the_longest() -> None:
    reconnect = Reconnect(first_wait_s=0.5, longest_wait_s=3.0)
    assert [reconnect.wait_s(attempt) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
