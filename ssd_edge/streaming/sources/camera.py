"""Opens cameras, streams and pipelines as live sources."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from ssd_edge.core.config import shown_number
from ssd_edge.core.environment import environment
from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.gstreamer import (
    csi_pipeline,
    has_jetson_codecs,
    recommended_pipeline,
    require_elements,
    require_gstreamer,
    rtsp_pipeline,
    usb_pipeline,
)
from ssd_edge.streaming.sources.live import FIRST_FRAME_S, LiveSource
from ssd_edge.streaming.sources.opencv import open_capture, require_ffmpeg
from ssd_edge.streaming.sources.pyav import PyAvReader, has_pyav
from ssd_edge.streaming.sources.reader import CaptureReader, Reader
from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.streaming.sources.scaled import SCALERS, Scaler, scaled_opener
from ssd_edge.streaming.sources.uri import Uri
from ssd_edge.streaming.sources.video import VideoSource
from ssd_edge.streaming.states import StreamError, StreamReason

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_TCP = "rtsp_transport;tcp"
_CONNECT_S = 5.0
_TIMEOUTS = {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC: 10_000}
_BRIEF_PROBE = {"analyzeduration": "1000000", "fpsprobesize": "2"}  # FFmpeg would look at 5 s for the rate
_VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


@dataclass(frozen=True)
class CameraMode:
    """Requested camera settings; None leaves one to the driver.

    Raises:
        InputError: a rate that is not positive, or no number.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise InputError(
                "the camera's frame rate is out of range",
                got=f"{shown_number(self.fps)} FPS",
                wanted="a number above 0",
            )


@dataclass(frozen=True)
class Recovery:
    """Recovery options for a camera or stream that is absent, stops or stalls.

    Attributes:
        max_retries: tries in a row to open it again; None for no limit, 0 makes a stop final.
        wait: waits also for a local camera that is absent at its first opening; network sources are waited for anyway.
        stall_s: no frame for so long, or for two frame intervals where that is longer, is a stall.
        max_age_s: frames that are older are of no use; where they keep coming, the source is opened anew.
    """

    max_retries: int | None = None
    wait: bool = False
    stall_s: float = 2.0
    max_age_s: float = 2.0

    def retry(self, *, is_local: bool) -> Retry:
        """Return the retries for a local device or a network source."""
        return Retry(most=self.max_retries, wait_for_first=self.wait or not is_local)


def open_camera(number: int, shown: str, mode: CameraMode, recovery: Recovery) -> Source:
    """Return camera ``number`` (V4L2 on Linux), as MJPEG where it can: raw images of 720p are too many for USB 2.

    Raises:
        DeviceError: there is no such camera.
    """
    found = sorted(path.name for path in Path("/dev").glob("video*"))
    absent = DeviceError(
        f"{shown} cannot be opened",
        got=f"cameras {', '.join(found)}" if found else "no camera on this machine",
        wanted=f"/dev/video{number}, which this user may read",
        do="To list cameras: ls -l /dev/video*. To open a CSI camera of a Jetson: ssd-edge run csi://0",
    )

    def opener() -> Reader:
        if (decoded := _decoded_by_jetson(number, mode, shown)) is not None:
            return decoded
        capture = open_capture(number, cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY)
        if capture is None:
            raise StreamError(StreamReason.NOT_FOUND, f"no /dev/video{number} that this user may read")
        _set_mode(capture, mode, shown)
        return CaptureReader(capture, shown, has_stamps=True)

    return _opened(shown, opener, recovery, absent, is_local=True)


def _decoded_by_jetson(number: int, mode: CameraMode, shown: str) -> Reader | None:
    """Return a USB camera through a Jetson's decoder and converter; None where there are none, or it does not start."""
    if not has_jetson_codecs():
        return None
    mjpeg = _offers_mjpeg(number)
    text = usb_pipeline(number, mode.width, mode.height, mode.fps, mjpeg=mjpeg)
    return _by_pipeline(text, shown, f"{'JPEG decoded' if mjpeg else 'raw images converted'} in hardware")


def _by_pipeline(text: str, shown: str, how: str) -> Reader | None:
    """Return what a pipeline reads, and say so; None where it does not start, which is said too."""
    capture = open_capture(text, cv2.CAP_GSTREAMER)
    if capture is None:
        log.warning(
            f"{shown} cannot be decoded in hardware and is decoded on the CPU; to find the reason, try gst-launch-1.0"
        )
        return None
    log.info(f"{shown}: {how}")
    return CaptureReader(capture, shown, has_stamps=True)


def _offers_mjpeg(number: int) -> bool:
    """Whether a camera gives JPEG where it is asked to."""
    capture = open_capture(number, cv2.CAP_V4L2)
    if capture is None:
        return True
    try:
        capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
        return int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG
    finally:
        capture.release()


def open_csi(uri: Uri, mode: CameraMode, recovery: Recovery) -> Source:
    """Return a CSI camera of a Jetson.

    Raises:
        DeviceError: OpenCV has no GStreamer, or there is no such sensor.
    """
    text = csi_pipeline(int(uri.target), mode.width or 1280, mode.height or 720, mode.fps or 30)
    return open_pipeline(Uri("pipeline", text, uri.shown), recovery)


def open_pipeline(uri: Uri, recovery: Recovery) -> Source:
    """Return a GStreamer pipeline that ends in an appsink; one with a URL in it is a network source.

    Raises:
        DeviceError: OpenCV has no GStreamer, or the pipeline does not start.
    """
    require_gstreamer(uri.shown)
    require_elements(uri.target, uri.shown)
    absent = DeviceError(
        f"{uri.shown} cannot be opened",
        got="a pipeline that does not start",
        do=f"Test it: gst-launch-1.0 {uri.shown}",
    )

    def opener() -> Reader:
        capture = open_capture(uri.target, cv2.CAP_GSTREAMER)
        if capture is None:
            raise StreamError(StreamReason.ERROR, "a pipeline that does not start")
        return CaptureReader(capture, uri.shown)  # OpenCV tells a pipeline's position, which is no frame's time stamp

    return _opened(uri.shown, opener, recovery, absent, is_local="://" not in uri.target)


def open_url(uri: Uri, rtsp_latency_ms: int, recovery: Recovery) -> Source:
    """Return a network stream; a URL of a whole video is read like a file, without loss.

    Raises:
        DeviceError: a video's URL does not answer; or neither PyAV nor an OpenCV with FFmpeg is installed.
    """
    opener = stream_opener(uri, rtsp_latency_ms, recovery.stall_s)
    address = urlsplit(uri.target)
    is_http = address.scheme.lower() in ("http", "https")
    is_video = is_http and Path(address.path).suffix.lower() in _VIDEO_SUFFIXES
    retry = replace(recovery.retry(is_local=False), wait_for_first=recovery.wait or not is_video)
    source = LiveSource(uri.shown, opener, retry=retry, stall_s=recovery.stall_s, max_age_s=recovery.max_age_s)
    if not is_http:
        source.open(0.0)
        return source
    try:
        source.open(FIRST_FRAME_S)
        if source.announced_frames is None:
            return source
    except BaseException:
        source.close()
        raise
    source.close()
    return _open_video(uri)


def open_scaled(
    uri: Uri,
    size: tuple[int, int],
    rtsp_latency_ms: int,
    recovery: Recovery,
    scalers: tuple[Scaler, ...] = SCALERS,
) -> Source:
    """Return an RTSP stream that the decoder's hardware delivers at ``size``; boxes are in the original's pixels.

    Raises:
        InputError: another kind of source.
        DeviceError: no such decoder is here, or OpenCV has no GStreamer.
    """
    opener = stream_opener(uri, rtsp_latency_ms, recovery.stall_s)

    def original() -> tuple[int, int]:
        reader = opener()
        try:
            return reader.size or reader.read().image.shape[1::-1]
        finally:
            reader.close()

    scaled = scaled_opener(uri, size, rtsp_latency_ms, original, scalers)
    retry = recovery.retry(is_local=False)
    source = LiveSource(uri.shown, scaled, retry=retry, stall_s=recovery.stall_s, max_age_s=recovery.max_age_s)
    source.open(0.0)
    return source


def stream_opener(uri: Uri, rtsp_latency_ms: int, stall_s: float) -> Callable[[], Reader]:
    """Return what opens a network stream: RTSP by a Jetson's decoder where there is one, else on the processor.

    Raises:
        DeviceError: nothing here can decode it.
    """
    try:
        otherwise = _processor_opener(uri, rtsp_latency_ms, stall_s)
    except DeviceError:
        if not (_is_rtsp(uri) and has_jetson_codecs()):
            raise
        otherwise = _no_decoder
    if not _is_rtsp(uri):
        return otherwise

    def open_rtsp() -> Reader:
        if has_jetson_codecs():  # asked here, as that takes a moment
            text = rtsp_pipeline(uri.target, rtsp_latency_ms)
            if (decoded := _by_pipeline(text, uri.shown, "decoded in hardware")) is not None:
                return decoded
        return otherwise()

    return open_rtsp


def _no_decoder() -> Reader:
    raise StreamError(
        StreamReason.ERROR,
        "GStreamer cannot open it, and neither PyAV nor an OpenCV with FFmpeg is installed: pip install av",
    )


def _is_rtsp(uri: Uri) -> bool:
    return uri.target.lower().startswith("rtsp")


def _processor_opener(uri: Uri, rtsp_latency_ms: int, stall_s: float) -> Callable[[], Reader]:
    """Return what opens a network stream by PyAV, or by OpenCV where that is not installed.

    Raises:
        DeviceError: neither is there.
    """
    if has_pyav():
        options = {"fflags": "nobuffer", "max_delay": str(rtsp_latency_ms * 1000), **_BRIEF_PROBE}
        if _is_rtsp(uri):
            options["rtsp_transport"] = "tcp"
        return lambda: PyAvReader(uri.target, options, open_s=_CONNECT_S, read_s=2 * stall_s + 1)
    advice = f"Install PyAV (pip install av), or use GStreamer: ssd-edge run {quoted(recommended_pipeline())}"
    require_ffmpeg(uri.shown, advice)

    def open_by_opencv() -> Reader:
        # FFmpeg throws away what it has read to learn of the stream.
        options = f"{_TCP}|fflags;nobuffer|flags;low_delay|max_delay;{rtsp_latency_ms * 1000}"
        with environment(OPENCV_FFMPEG_CAPTURE_OPTIONS=options):
            capture = open_capture(uri.target, cv2.CAP_FFMPEG, _TIMEOUTS)
        if capture is None:
            raise StreamError(StreamReason.ERROR, "no answer, or no video (install PyAV to see the reason)")
        return CaptureReader(capture, uri.shown, has_stamps=True)

    return open_by_opencv


def _open_video(uri: Uri) -> Source:
    def opener() -> cv2.VideoCapture | None:
        with environment(OPENCV_FFMPEG_CAPTURE_OPTIONS=_TCP):
            return open_capture(uri.target, cv2.CAP_FFMPEG, _TIMEOUTS)

    capture = opener()
    if capture is None:
        raise DeviceError(f"{uri.shown} cannot be opened", got="no answer, or no video", do="Test it: ffplay URL")
    return VideoSource(uri.shown, capture, opener)


def _opened(
    shown: str, opener: Callable[[], Reader], recovery: Recovery, absent: DeviceError, *, is_local: bool
) -> Source:
    """Return the source, and see that it is there where it must be."""
    retry = recovery.retry(is_local=is_local)
    source = LiveSource(
        shown,
        opener,
        retry=retry,
        stall_s=recovery.stall_s,
        max_age_s=recovery.max_age_s,
        first_frame_s=FIRST_FRAME_S,
        absent=absent,
    )
    try:
        if not source.open(0.0 if retry.wait_for_first else FIRST_FRAME_S) and not retry.wait_for_first:
            raise absent
    except BaseException:
        source.close()
        raise
    return source


def _asked(mode: CameraMode) -> str:
    size = f"{mode.width or 'its own'} x {mode.height or 'its own'}" if mode.width or mode.height else "its own size"
    return f"MJPG, {size}, {f'{mode.fps:g} FPS' if mode.fps else 'its own rate'}"


def _given(capture: cv2.VideoCapture, given: Mapping[int, float]) -> str:
    code, (width, height, fps) = int(capture.get(cv2.CAP_PROP_FOURCC)), given.values()
    letters = bytes(code >> shift & 255 for shift in (0, 8, 16, 24)).decode("ascii", "replace") if code > 0 else "?"
    return f"{letters if letters.isprintable() else '?'}, {width:.0f} x {height:.0f}, {fps:g} FPS"


def _set_mode(capture: cv2.VideoCapture, mode: CameraMode, shown: str) -> None:
    wanted = {cv2.CAP_PROP_FRAME_WIDTH: mode.width, cv2.CAP_PROP_FRAME_HEIGHT: mode.height, cv2.CAP_PROP_FPS: mode.fps}
    capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
    for setting, value in wanted.items():
        if value is not None:
            capture.set(setting, value)
    # CAP_PROP_BUFFERSIZE stays as it is (4): with one buffer the kernel has none while an image is read, and drops the
    # frame that begins then. Latency does not grow by it: the capture thread reads all, and keeps the newest.
    given = {setting: capture.get(setting) for setting in wanted}
    log.info(f"{shown}: requested {_asked(mode)}; the camera gives {_given(capture, given)}")
    if any(value is not None and given[setting] != value for setting, value in wanted.items()):
        width, height, fps = given.values()
        log.warning(f"{shown} gives {width:.0f} x {height:.0f} at {fps:g} FPS, the closest mode that it has")
