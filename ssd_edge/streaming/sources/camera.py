"""Opens cameras, streams and pipelines as live sources."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2

from ssd_edge.core.environment import environment
from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.gstreamer import csi_pipeline, require_elements, require_gstreamer
from ssd_edge.streaming.sources.live import LiveSource, Reconnect
from ssd_edge.streaming.sources.opencv import (
    Capture,
    Opener,
    frame_count,
    open_capture,
    open_timed,
    require_ffmpeg,
)
from ssd_edge.streaming.sources.uri import Uri
from ssd_edge.streaming.sources.video import VideoSource

_TCP = "rtsp_transport;tcp"
_PIPELINE_OPEN_S, _PIPELINE_READ_S = 15.0, 5.0
_TIMEOUTS = {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC: 10_000}


@dataclass(frozen=True)
class CameraMode:
    """What to ask of a camera; None leaves it to the driver.

    Raises:
        InputError: a rate that is not positive, or no number.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise InputError(
                "the camera's rate is out of range", got=f"{self.fps:g} FPS", wanted="a number more than 0"
            )


def open_camera(number: int, shown: str, mode: CameraMode, reconnect: Reconnect) -> Source:
    """Return camera ``number`` (V4L2 on Linux), as MJPEG where it can: raw pictures of 720p are too many for USB 2.

    Raises:
        DeviceError: there is no such camera.
    """
    found = sorted(path.name for path in Path("/dev").glob("video*"))
    absent = DeviceError(
        f"{shown} cannot be opened",
        got=f"cameras {', '.join(found)}" if found else "no camera on this machine",
        wanted=f"/dev/video{number}, which this user may read",
        do="List them: ls -l /dev/video*. A Jetson's CSI camera is opened so: ssd-edge run csi://0",
    )

    def opener() -> cv2.VideoCapture | None:
        capture = open_capture(number, cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY)
        if capture is not None:
            _set_mode(capture, mode, shown)
        return capture

    return LiveSource(shown, _opened(opener, absent), opener, reconnect=reconnect)


def open_csi(uri: Uri, mode: CameraMode, reconnect: Reconnect) -> Source:
    """Return a CSI camera of a Jetson.

    Raises:
        DeviceError: OpenCV has no GStreamer, or there is no such sensor.
    """
    text = csi_pipeline(int(uri.target), mode.width or 1280, mode.height or 720, mode.fps or 30)
    return open_pipeline(Uri("pipeline", text, uri.shown), reconnect)


def open_pipeline(uri: Uri, reconnect: Reconnect) -> Source:
    """Return a GStreamer pipeline that ends in an appsink.

    Raises:
        DeviceError: OpenCV has no GStreamer, or the pipeline does not start.
    """
    require_gstreamer(uri.shown)
    require_elements(uri.target, uri.shown)
    absent = DeviceError(
        f"{uri.shown} cannot be opened", got="a pipeline that does not start", do=f"Try it: gst-launch-1.0 {uri.target}"
    )

    def opener() -> Capture | None:
        return open_timed(
            lambda: open_capture(uri.target, cv2.CAP_GSTREAMER), open_s=_PIPELINE_OPEN_S, read_s=_PIPELINE_READ_S
        )

    return LiveSource(uri.shown, _opened(opener, absent), opener, reconnect=reconnect)


def open_url(uri: Uri, rtsp_latency_ms: int, reconnect: Reconnect) -> Source:
    """Return a network stream; a URL of a whole film is read like a file, without loss.

    Raises:
        DeviceError: nothing answers there, or it is no video; or OpenCV has no FFmpeg.
    """
    pipeline = "rtspsrc location=URL ! decodebin ! videoconvert ! video/x-raw,format=BGR ! appsink"
    require_ffmpeg(uri.shown, f"Read it through GStreamer: ssd-edge run {quoted(pipeline)}")
    absent = DeviceError(
        f"{uri.shown} cannot be opened",
        got="no answer, or no video",
        do="Check the address, user and password; try it: ffplay URL",
    )

    def opener() -> cv2.VideoCapture | None:
        # FFmpeg throws away what it has read to learn of the stream.
        options = f"{_TCP}|fflags;nobuffer|flags;low_delay|max_delay;{rtsp_latency_ms * 1000}"
        with environment(OPENCV_FFMPEG_CAPTURE_OPTIONS=options):
            return open_capture(uri.target, cv2.CAP_FFMPEG, _TIMEOUTS)

    def film_opener() -> cv2.VideoCapture | None:
        with environment(OPENCV_FFMPEG_CAPTURE_OPTIONS=_TCP):
            return open_capture(uri.target, cv2.CAP_FFMPEG, _TIMEOUTS)

    capture = _opened(opener, absent)
    if frame_count(capture) is not None:
        capture.release()
        return VideoSource(uri.shown, _opened(film_opener, absent), film_opener)
    return LiveSource(uri.shown, capture, opener, reconnect=reconnect)


def _opened(opener: Opener, absent: DeviceError) -> Capture:
    capture = opener()
    if capture is None:
        raise absent
    return capture


def _set_mode(capture: cv2.VideoCapture, mode: CameraMode, shown: str) -> None:
    wanted = {cv2.CAP_PROP_FRAME_WIDTH: mode.width, cv2.CAP_PROP_FRAME_HEIGHT: mode.height, cv2.CAP_PROP_FPS: mode.fps}
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for setting, value in wanted.items():
        if value is not None:
            capture.set(setting, value)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    given = {setting: capture.get(setting) for setting in wanted}
    if any(value is not None and given[setting] != value for setting, value in wanted.items()):
        width, height, fps = given.values()
        log.warning(f"{shown} gives {width:.0f} x {height:.0f} at {fps:g} FPS, the nearest that it has")
