from __future__ import annotations

import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sinks import window as display
from ssd_edge.streaming.sinks import window as window_sink
from ssd_edge.streaming.sinks.window import WindowSink, why_no_window
from tests.streaming.films import frame_at


class FakeScreen:
    """Stands for OpenCV's windows, which need a display."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.key, self.visible, self.windows = -1, 1.0, 0
        monkeypatch.setattr(window_sink, "why_no_window", lambda: None)
        monkeypatch.setattr(cv2, "namedWindow", self.open)
        monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self.close)

    def open(self, *_: Any) -> None:
        self.windows += 1

    def close(self) -> None:
        self.windows = 0


@pytest.mark.parametrize(
    ("key", "visible", "stops"),
    [(-1, 1.0, False), (ord("x"), 1.0, False), (ord("q"), 1.0, True), (27, 1.0, True), (-1, 0.0, True)],
)
def test_q_escape_or_closing_the_window_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, key: int, visible: float, stops: bool
) -> None:
    screen, stop = FakeScreen(monkeypatch), StopRequest()
    with WindowSink("ssd-edge", stop) as sink:
        frame = frame_at(0.0, level=9)
        sink.show(frame, frame.image)
        assert screen.windows == 1
        screen.key, screen.visible = key, visible
        sink.show(frame, frame.image)
    assert [int(picture[0, 0, 0]) for picture in screen.shown] == [9, 9]
    assert screen.windows == 0
    assert stop.requested is stops


def test_a_title_that_opencv_cannot_take_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeScreen(monkeypatch)
    titles: list[str] = []
    monkeypatch.setattr(cv2, "namedWindow", lambda title, _: titles.append(title))
    with WindowSink("caf\udce9.jpg", StopRequest()) as sink:
        frame = frame_at(0.0)
        sink.show(frame, frame.image)
    assert titles == ["caf\\udce9.jpg"]


def test_no_display_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DeviceError, match=r"no window can be shown: got no display \(neither DISPLAY.*--no-window"):
        WindowSink("ssd-edge", StopRequest())


def test_a_display_that_aborts_is_found_out_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(
        display, "_PROBE", "import sys; sys.stderr.write('could not connect to display :987'); sys.exit(6)"
    )
    assert why_no_window() == "could not connect to display :987"
    monkeypatch.setattr(display, "_PROBE", "import sys; sys.exit(6)")
    assert why_no_window() == "a display that refuses (exit code 6)"
    monkeypatch.setattr(display, "_PROBE", "")
    assert why_no_window() is None


def test_a_display_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("probe", 1)

    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(subprocess, "run", hang)
    assert why_no_window() == "a display that does not answer"
