"""Cameras, pipelines and streams whose first opening goes one way or the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources import camera, opencv
from ssd_edge.streaming.sources.camera import CameraMode, Recovery, open_camera, open_pipeline, open_url, stream_opener
from ssd_edge.streaming.sources.opencv import open_capture
from ssd_edge.streaming.sources.uri import parse_uri
from ssd_edge.streaming.states import StreamError, StreamReason
from tests.streaming.sources.uvc_camera import UvcCamera

ONCE = Recovery(max_retries=0)


class Numbered(UvcCamera):
    """Its images say their number, and its time stamps are a pipeline's position."""

    def get(self, setting: int) -> float:
        return 5000.0 if setting == cv2.CAP_PROP_POS_MSEC else super().get(setting)

    def read(self) -> tuple[bool, np.ndarray | None]:
        taken, image = super().read()
        return taken, None if image is None else image + self.delivered


@pytest.fixture
def in_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "require_gstreamer", lambda _: None)
    monkeypatch.setattr(camera, "require_elements", lambda *_: None)


def test_a_pipeline_s_frames_come_at_their_arrival_not_at_its_position(
    in_gstreamer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "open_capture", lambda _, api: Numbered(3) if api == cv2.CAP_GSTREAMER else None)
    began = time.monotonic()
    with open_pipeline(parse_uri("videotestsrc ! appsink"), ONCE) as source:
        frames = list(islice(source, 3))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3]
    assert all(began <= frame.captured_at <= time.monotonic() for frame in frames)


def test_a_camera_whose_formats_nobody_tells_is_asked_for_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw images of 720p are too many for USB 2."""
    pipelines = []

    def open_(target: str | int, api: int, *_: object) -> UvcCamera | None:
        pipelines.extend([target] if api == cv2.CAP_GSTREAMER else [])
        return UvcCamera(3) if api == cv2.CAP_GSTREAMER else None

    monkeypatch.setattr(camera, "has_jetson_codecs", lambda: True)
    monkeypatch.setattr(camera, "open_capture", open_)
    open_camera(1, "camera 1", CameraMode(1280, 720, 30), ONCE).close()
    assert ["mjpeg=1" in str(pipeline) for pipeline in pipelines] == [True]


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """A driver that does not come back; the threads that were in it."""
    answers, inside = threading.Event(), []

    def hang(*_: object) -> None:
        inside.append(threading.current_thread())
        answers.wait(20)

    monkeypatch.setattr(camera, "open_capture", hang)
    monkeypatch.setattr(camera, "FIRST_FRAME_S", 0.05)
    yield inside
    answers.set()
    for thread in inside:
        thread.join(5)
        assert not thread.is_alive()


def test_a_camera_whose_driver_hangs_is_given_up_and_one_that_is_waited_for_is_not(
    hanging: list[threading.Thread],
) -> None:
    began = time.monotonic()
    with pytest.raises(DeviceError, match="camera 0 cannot be opened"):
        open_camera(0, "camera 0", CameraMode(), Recovery())
    open_camera(0, "camera 0", CameraMode(), Recovery(wait=True)).close()
    assert time.monotonic() - began < 5
    assert all(thread.daemon for thread in hanging)


RTSP = parse_uri("rtsp://me:secret@127.0.0.1:9/x")


def test_without_pyav_a_stream_that_does_not_answer_says_how_to_learn_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not opencv.is_built_with("FFMPEG"):
        pytest.skip("this OpenCV has no FFmpeg")
    monkeypatch.setattr(camera, "has_pyav", lambda: False)
    with pytest.raises(StreamError, match="install PyAV") as refused:
        stream_opener(RTSP, 100, 2.0)()
    assert refused.value.reason is StreamReason.ERROR
    with open_url(RTSP, 100, ONCE) as source, pytest.raises(DeviceError) as absent:
        next(iter(source))
    assert "secret" not in str(absent.value)
    assert capfd.readouterr() == ("", "")


def test_a_video_behind_a_url_that_is_gone_when_it_is_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened twice: to see that it has an end, and to be read without loss."""

    class Video(camera.PyAvReader):
        def __init__(self, *_: object, **__: object) -> None:
            self.frames = 9

        def close(self) -> None:
            closed.append(self)

    closed: list[object] = []
    monkeypatch.setattr(camera, "has_pyav", lambda: True)
    monkeypatch.setattr(camera, "PyAvReader", Video)
    with pytest.raises(DeviceError, match=r"http://127\.0\.0\.1:9/a\.mp4 cannot be opened: got no answer, or no video"):
        open_url(parse_uri("http://127.0.0.1:9/a.mp4"), 100, ONCE)
    assert len(closed) == 1


def test_an_opencv_that_raises_at_a_source_cannot_open_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(target: object, api: int, parameters: list[int]) -> None:
        asked.append((target, api, parameters))
        raise cv2.error("backend is not available")

    monkeypatch.setattr(cv2, "VideoCapture", refuse)
    assert open_capture("rtsp://a", cv2.CAP_FFMPEG, {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 10_000}) is None
    assert asked == [("rtsp://a", cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000])]
