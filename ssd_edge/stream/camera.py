"""Opens cameras, streams and pipelines as live sources."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.stream.capture import frame_count, open_capture
from ssd_edge.stream.gstreamer import csi_pipeline, require_gstreamer
from ssd_edge.stream.live_source import LiveSource, Opener, Reconnect
from ssd_edge.stream.source import Report, Source
from ssd_edge.stream.uri import Uri
from ssd_edge.stream.video_source import VideoSource

_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OPEN_TIMEOUT_MS, _READ_TIMEOUT_MS = 10_000, 10_000


@dataclass(frozen=True)
class CameraMode:
    """What to ask of a camera; None leaves it to the driver."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


def open_camera(number: int, shown: str, mode: CameraMode, reconnect: Reconnect, report: Report) -> Source:
    """Return camera ``number`` (V4L2 on Linux), as MJPEG where it can: raw pictures of 720p are too many for USB 2.

    Raises:
        DeviceError: there is no such camera.
    """
    found = sorted(path.name for path in Path("/dev").glob("video*"))
    absent = DeviceError(
        f"{shown} cannot be opened",
        got=f"cameras {', '.join(found)}" if found else "no camera on this machine",
        wanted=f"/dev/video{number}, which this user may read",
        do="List them: ls -l /dev/video*",
    )

    def opener() -> cv2.VideoCapture | None:
        capture = open_capture(number, cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY)
        if capture is not None:
            _set_mode(capture, mode, shown, report)
        return capture

    return LiveSource(shown, _opened(opener, absent), opener, reconnect=reconnect, report=report)


def open_csi(uri: Uri, mode: CameraMode, reconnect: Reconnect, report: Report) -> Source:
    """Return a CSI camera of a Jetson.

    Raises:
        DeviceError: OpenCV has no GStreamer, or there is no such sensor.
    """
    text = csi_pipeline(int(uri.target), mode.width or 1280, mode.height or 720, mode.fps or 30)
    return open_pipeline(Uri("pipeline", text, uri.shown), reconnect, report)


def open_pipeline(uri: Uri, reconnect: Reconnect, report: Report) -> Source:
    """Return a GStreamer pipeline that ends in an appsink.

    Raises:
        DeviceError: OpenCV has no GStreamer, or the pipeline does not start.
    """
    require_gstreamer(uri.shown)
    absent = DeviceError(
        f"{uri.shown} cannot be opened", got="a pipeline that does not start", do=f"Try it: gst-launch-1.0 {uri.target}"
    )

    def opener() -> cv2.VideoCapture | None:
        return open_capture(uri.target, cv2.CAP_GSTREAMER)

    return LiveSource(uri.shown, _opened(opener, absent), opener, reconnect=reconnect, report=report)


def open_url(uri: Uri, rtsp_latency_ms: int, reconnect: Reconnect, report: Report) -> Source:
    """Return a network stream; a URL of a whole film is read like a file, without loss.

    Raises:
        DeviceError: nothing answers there, or it is no video.
    """
    absent = DeviceError(
        f"{uri.shown} cannot be opened",
        got="no answer, or no video",
        do="Check the address, user and password; try it: ffplay URL",
    )

    def opener() -> cv2.VideoCapture | None:
        with _ffmpeg_options(rtsp_latency_ms):
            timeouts = {
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: _OPEN_TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC: _READ_TIMEOUT_MS,
            }
            return open_capture(uri.target, cv2.CAP_FFMPEG, timeouts)

    capture = _opened(opener, absent)
    if frame_count(capture) is not None:
        capture.release()
        return VideoSource(uri.target, uri.shown)
    return LiveSource(uri.shown, capture, opener, reconnect=reconnect, report=report)


def _opened(opener: Opener, absent: DeviceError) -> cv2.VideoCapture:
    capture = opener()
    if capture is None:
        raise absent
    return capture


def _set_mode(capture: cv2.VideoCapture, mode: CameraMode, shown: str, report: Report) -> None:
    wanted = {cv2.CAP_PROP_FRAME_WIDTH: mode.width, cv2.CAP_PROP_FRAME_HEIGHT: mode.height, cv2.CAP_PROP_FPS: mode.fps}
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for setting, value in wanted.items():
        if value is not None:
            capture.set(setting, value)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    given = {setting: capture.get(setting) for setting in wanted}
    if any(value is not None and given[setting] != value for setting, value in wanted.items()):
        width, height, fps = given.values()
        report(f"{shown} gives {width:.0f} x {height:.0f} at {fps:g} FPS, the nearest that it has")


@contextmanager
def _ffmpeg_options(latency_ms: int) -> Iterator[None]:
    """Ask FFmpeg for TCP and a short jitter buffer while a stream is opened; a user's own options stand."""
    if _FFMPEG_OPTIONS in os.environ:
        yield
        return
    os.environ[_FFMPEG_OPTIONS] = f"rtsp_transport;tcp|fflags;nobuffer|flags;low_delay|max_delay;{latency_ms * 1000}"
    try:
        yield
    finally:
        del os.environ[_FFMPEG_OPTIONS]
