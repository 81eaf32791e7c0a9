from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sinks.video import VideoSink
from ssd_edge.streaming.sources import camera
from ssd_edge.streaming.sources.camera import Recovery, open_url
from ssd_edge.streaming.sources.opencv import is_built_with, require_ffmpeg
from ssd_edge.streaming.sources.uri import parse_uri


@pytest.fixture
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "  Video I/O:\n    FFMPEG:                      NO\n    GStreamer:                   YES (1.20.3)\n"
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: text)


def test_what_is_built_in_is_known(without_ffmpeg: None) -> None:
    assert is_built_with("GStreamer")
    assert not is_built_with("FFMPEG")
    assert not is_built_with("Vulkan")


def test_the_wheel_of_pypi_has_ffmpeg() -> None:
    require_ffmpeg("video.mp4", "")


def test_streams_and_films_without_ffmpeg_say_the_way(
    without_ffmpeg: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssd_edge.streaming.sinks.encoders.has_av", lambda: False)
    monkeypatch.setattr(camera, "has_pyav", lambda: False)
    with pytest.raises(
        DeviceError, match=r"rtsp://me:\*\*\*@camera/x needs FFmpeg: got OpenCV .*, built without it\. .*rtspsrc"
    ):
        open_url(parse_uri("rtsp://me:secret@camera/x"), 200, Recovery())
    with pytest.raises(DeviceError, match=r"boxes\.mp4 needs FFmpeg: .* Give --output a folder"):
        VideoSink(tmp_path / "boxes.mp4", 30.0)
