from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from ssd_edge.streaming.sources.opencv import TimedCapture, open_timed

SOON_S, NEVER_S = 0.05, 60.0
PICTURE = np.zeros((2, 3, 3), np.uint8)


class Device:
    """Hangs where it is told to, until ``wakes`` is set."""

    def __init__(self, hangs_at: str = "") -> None:
        self.hangs_at = hangs_at
        self.wakes = threading.Event()
        self.released = threading.Event()
        self.reads = 0
        self.threads: set[int] = set()

    def open(self) -> Device:
        self._note("open")
        return self

    def get(self, setting: int) -> float:
        return float(setting)

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads += 1
        self._note("read")
        return True, PICTURE

    def release(self) -> None:
        self._note("release")
        self.released.set()

    def _note(self, place: str) -> None:
        self.threads.add(threading.get_ident())
        if place == self.hangs_at:
            self.wakes.wait(NEVER_S)


@pytest.fixture
def hanging(request: pytest.FixtureRequest) -> Iterator[Device]:
    device = Device(request.param)
    yield device
    device.wakes.set()


def opened(device: Device, read_s: float = NEVER_S) -> TimedCapture:
    capture = open_timed(device.open, open_s=NEVER_S, read_s=read_s)
    assert capture is not None
    return capture


def test_what_answers_is_handed_on_and_everything_happens_on_one_thread() -> None:
    device = Device()
    capture = opened(device)
    assert capture.read() == (True, PICTURE)
    assert capture.get(5) == 5.0
    capture.release()
    assert device.released.is_set()
    assert len(device.threads) == 1
    assert threading.get_ident() not in device.threads


def test_what_cannot_be_opened_is_none() -> None:
    assert open_timed(lambda: None, open_s=NEVER_S, read_s=NEVER_S) is None


def test_an_error_is_raised_where_it_was_asked() -> None:
    def fail() -> Device:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        open_timed(fail, open_s=NEVER_S, read_s=NEVER_S)


@pytest.mark.parametrize("hanging", ["open"], indirect=True)
def test_what_opens_too_late_is_given_back(hanging: Device) -> None:
    assert open_timed(hanging.open, open_s=SOON_S, read_s=NEVER_S) is None
    assert not hanging.released.is_set()
    hanging.wakes.set()
    assert hanging.released.wait(NEVER_S)


@pytest.mark.parametrize("hanging", ["read"], indirect=True)
def test_what_hangs_is_asked_once_and_given_back_when_it_hangs_no_more(hanging: Device) -> None:
    capture = opened(hanging, read_s=SOON_S)
    assert capture.read() == (False, None)
    assert capture.read() == (False, None)
    assert hanging.reads == 1
    capture.release()
    assert not hanging.released.is_set()
    hanging.wakes.set()
    assert hanging.released.wait(NEVER_S)
