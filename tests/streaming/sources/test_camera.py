from __future__ import annotations

import functools
import http.server
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.streaming.sources import camera, gstreamer, opencv
from ssd_edge.streaming.sources.camera import (
    CameraMode,
    Recovery,
    open_camera,
    open_csi,
    open_pipeline,
    open_url,
    stream_opener,
)
from ssd_edge.streaming.sources.gstreamer import csi_pipeline, has_gstreamer
from ssd_edge.streaming.sources.opencv import open_capture
from ssd_edge.streaming.sources.uri import parse_uri
from ssd_edge.streaming.states import StreamError
from tests.streaming.films import number_of, write_film
from tests.streaming.sources.uvc_camera import UvcCamera

ONCE = Recovery(max_retries=1)
Serve = Callable[[type[http.server.BaseHTTPRequestHandler]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(handler: type[http.server.BaseHTTPRequestHandler]) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_camera_that_does_not_exist_is_named_without_chatter(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceError, match=r"camera 63 cannot be opened: got .*camera.*; wanted /dev/video63"):
        open_camera(63, "camera 63", CameraMode(), ONCE)
    assert capfd.readouterr() == ("", "")


class FakeCamera:
    """Takes settings as a driver does: only 640 x 480 at 30 are there."""

    def __init__(self) -> None:
        self.settings: dict[int, float] = {}

    def set(self, setting: int, value: float) -> bool:
        self.settings[setting] = value
        return True

    def read(self) -> tuple[bool, None]:
        return False, None

    def get(self, setting: int) -> float:
        modes = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}
        return modes.get(setting, -1.0)

    def release(self) -> None:
        pass


@pytest.mark.parametrize(
    ("mode", "reports"),
    [
        (CameraMode(1920, 1080), ["camera 0 gives 640 x 480 at 30 FPS, the closest mode that it has"]),
        (CameraMode(640, 480, 30), []),
        (CameraMode(), []),
    ],
)
def test_a_mode_that_the_camera_lacks_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: CameraMode, reports: list[str]
) -> None:
    device = FakeCamera()
    monkeypatch.setattr(camera, "open_capture", lambda *_: device)
    open_camera(0, "camera 0", mode, ONCE).close()
    assert [line for line in caplog.messages if "the camera gives ?" not in line] == reports
    assert (
        cv2.CAP_PROP_BUFFERSIZE not in device.settings
    )  # the driver's own, of which none is missing while one is read
    assert device.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert (cv2.CAP_PROP_FRAME_WIDTH in device.settings) == (mode.width is not None)


@pytest.mark.parametrize(("buffers", "share"), [(1, 0.5), (2, 1.0), (3, 1.0), (4, 1.0)])
def test_with_one_buffer_the_driver_drops_every_second_frame(buffers: int, share: float) -> None:
    device = UvcCamera(200)
    device.set(cv2.CAP_PROP_BUFFERSIZE, buffers)
    while device.read()[0]:
        pass
    assert device.delivered / device.produced == pytest.approx(share, abs=0.02)


def test_a_usb_camera_gives_all_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    device = UvcCamera(60)
    monkeypatch.setattr(camera, "open_capture", lambda *_: device)
    with open_camera(0, "camera 0", CameraMode(), Recovery(max_retries=0)) as source, pytest.raises(DeviceError):
        for _ in source:
            pass
    assert device.delivered == device.produced == 60


def test_what_was_asked_and_what_is_given_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ssd_edge")
    monkeypatch.setattr(camera, "open_capture", lambda *_: FakeCamera())
    open_camera(0, "camera 0", CameraMode(640, 480, 30), ONCE).close()
    assert "camera 0: requested MJPG, 640 x 480, 30 FPS; the camera gives ?, 640 x 480, 30 FPS" in caplog.messages


class JetsonCamera(FakeCamera):
    """Gives JPEG or not, and remembers what it was opened by."""

    offers_jpeg = True

    def get(self, setting: int) -> float:
        if setting == cv2.CAP_PROP_FOURCC:
            return float(cv2.VideoWriter.fourcc(*("MJPG" if self.offers_jpeg else "YUYV")))
        return super().get(setting)


@pytest.mark.parametrize("jpeg", [True, False])
@pytest.mark.parametrize("starts", [True, False])
def test_a_jetson_decodes_a_usb_camera_in_hardware(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, jpeg: bool, starts: bool
) -> None:
    caplog.set_level(logging.INFO, logger="ssd_edge")
    opened: list[object] = []

    def open_(target: object, api: int, *_: object) -> JetsonCamera | None:
        opened.append(target)
        device = JetsonCamera()
        device.offers_jpeg = jpeg
        return device if starts or api != cv2.CAP_GSTREAMER else None

    monkeypatch.setattr(camera, "has_jetson_codecs", lambda: True)
    monkeypatch.setattr(camera, "open_capture", open_)
    open_camera(1, "camera 1", CameraMode(1280, 720, 30), ONCE).close()
    pipeline = str(next(target for target in opened if isinstance(target, str)))
    assert ("nvv4l2decoder mjpeg=1" in pipeline) == jpeg
    assert ("format=(string)YUY2" in pipeline) == (not jpeg)
    assert "v4l2src device=/dev/video1 " in pipeline
    assert "width=(int)1280, height=(int)720, framerate=(fraction)30/1" in pipeline
    said = "in hardware" if starts else "cannot be decoded in hardware and is decoded on the CPU"
    assert any(said in line for line in caplog.messages)
    if not starts:
        assert opened[-1] == 1  # V4L2


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """On a board with NVIDIA's codecs: the pipelines that were opened; each starts."""
    pipelines: list[str] = []

    def open_(target: str, api: int, *_: object) -> FakeCamera:
        assert api == cv2.CAP_GSTREAMER
        pipelines.append(target)
        return FakeCamera()

    monkeypatch.setattr(camera, "has_jetson_codecs", lambda: True)
    monkeypatch.setattr(camera, "open_capture", open_)
    return pipelines


RTSP, HTTP = parse_uri("rtsp://cam/1"), parse_uri("http://cam/live.mjpg")


@pytest.mark.parametrize("has_others", [True, False])
def test_a_jetson_decodes_a_network_camera_in_hardware(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, opened: list[str], has_others: bool
) -> None:
    """Also where there is neither PyAV nor an OpenCV with FFmpeg."""
    caplog.set_level(logging.INFO, logger="ssd_edge")
    monkeypatch.setattr(camera, "has_pyav", lambda: has_others)
    monkeypatch.setattr(opencv, "is_built_with", lambda _: has_others)
    stream_opener(RTSP, 150, 2.0)()
    assert opened == [gstreamer.rtsp_pipeline("rtsp://cam/1", 150)]
    assert "rtsp://cam/1: decoded in hardware" in caplog.messages


def test_where_the_board_s_pipeline_does_not_start_the_processor_decodes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, opened: list[str]
) -> None:
    monkeypatch.setattr(camera, "open_capture", lambda *_: None)
    monkeypatch.setattr(camera, "PyAvReader", lambda target, *_, **__: target)
    assert stream_opener(RTSP, 150, 2.0)() == "rtsp://cam/1"
    assert "rtsp://cam/1 cannot be decoded in hardware and is decoded on the CPU" in caplog.text
    monkeypatch.setattr(camera, "has_pyav", lambda: False)
    monkeypatch.setattr(opencv, "is_built_with", lambda _: False)
    with pytest.raises(StreamError, match="GStreamer cannot open it, and neither PyAV nor an OpenCV with FFmpeg"):
        stream_opener(RTSP, 150, 2.0)()


def test_what_is_no_rtsp_is_decoded_on_the_processor(monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    monkeypatch.setattr(camera, "PyAvReader", lambda target, *_, **__: target)
    assert stream_opener(HTTP, 150, 2.0)() == "http://cam/live.mjpg"
    assert opened == []


@pytest.mark.parametrize(
    "pipeline",
    [
        csi_pipeline(0, 1280, 720, 30),
        gstreamer.usb_pipeline(0, 1280, 720, 30, mjpeg=True),
        gstreamer.usb_pipeline(0, 1280, 720, 30, mjpeg=False),
        gstreamer.rtsp_pipeline("rtsp://cam/1", 200),
    ],
)
def test_what_lies_in_nvidia_s_memory_is_converted_before_anything_else_reads_it(pipeline: str) -> None:
    """A Jetson's decoders and CSI cameras give NVMM memory, which videoconvert cannot read; nvvidconv gives no BGR."""
    steps = [step.strip() for step in pipeline.split("!")]
    makers = ("nvv4l2decoder", "decodebin", "video/x-raw(memory:NVMM)", "video/x-raw, format=(string)YUY2")
    (maker,) = (number for number, step in enumerate(steps) if step.startswith(makers))
    after = ["nvvidconv", "video/x-raw, format=(string)BGRx", "videoconvert", "video/x-raw, format=(string)BGR"]
    assert steps[maker + 1 : maker + 5] == after


@pytest.mark.parametrize("is_jetson", [True, False])
def test_the_pipeline_that_an_error_recommends_works_on_the_board(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_jetson: bool
) -> None:
    monkeypatch.setattr(gstreamer, "_JETSON_RELEASE", tmp_path if is_jetson else tmp_path / "none")
    monkeypatch.setattr(camera, "has_pyav", lambda: False)
    monkeypatch.setattr(opencv, "is_built_with", lambda _: False)
    with pytest.raises(DeviceError, match=r"use GStreamer: ssd-edge run '.*location=URL .*appsink") as said:
        stream_opener(RTSP, 200, 2.0)
    assert ("! decodebin ! nvvidconv ! " in str(said.value)) == is_jetson


def test_csi_and_pipelines_need_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: False)
    with pytest.raises(DeviceError, match=r"csi://0 needs GStreamer: got OpenCV .*, built without it"):
        open_csi(parse_uri("csi://0"), CameraMode(), ONCE)
    with pytest.raises(DeviceError, match=r"videotestsrc ! appsink needs GStreamer"):
        open_pipeline(parse_uri("videotestsrc ! appsink"), ONCE)


def test_a_pipeline_that_does_not_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: True)
    monkeypatch.setattr(camera, "open_capture", lambda *_: None)
    monkeypatch.setattr(camera, "require_elements", lambda *_: None)
    with pytest.raises(DeviceError, match=r"cannot be opened: got a pipeline that does not start. Test it: gst-launch"):
        open_pipeline(parse_uri("nosuchsrc ! appsink"), ONCE)


@pytest.mark.parametrize(("answer", "found"), [("YES (1.20)", True), ("NO", False)])
def test_the_build_information_tells_about_gstreamer(monkeypatch: pytest.MonkeyPatch, answer: str, found: bool) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: f"  Video I/O:\n    GStreamer:      {answer}\n")
    assert has_gstreamer() is found


def test_the_csi_pipeline_ends_in_bgr_and_drops_old_frames() -> None:
    text = csi_pipeline(1, 1280, 720, 29.97)
    assert text.startswith(
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=(int)1280, height=(int)720, "
    )
    assert "framerate=(fraction)30/1" in text
    assert text.endswith("format=(string)BGR ! appsink drop=1 max-buffers=1 sync=false")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_stream_that_nobody_serves_is_named_without_its_password(
    scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(os.environ)
    url = f"{scheme}://me:secret@127.0.0.1:9/x"
    with open_url(parse_uri(url), 200, Recovery(max_retries=0)) as source, pytest.raises(DeviceError) as absent:
        next(iter(source))
    assert f"{scheme}://me:***@127.0.0.1:9/x cannot be opened: got not found: " in str(absent.value)
    assert capfd.readouterr() == ("", "")
    assert os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS") == before.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")


def test_a_video_behind_a_url_that_is_not_there_is_not_waited_for() -> None:
    with pytest.raises(DeviceError, match="cannot be opened: got not found"):
        open_url(parse_uri("http://127.0.0.1:9/video.mp4"), 200, Recovery())


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_film_behind_a_url_is_read_whole(tmp_path: Path, serve: Serve) -> None:
    write_film(tmp_path / "video.mp4", 6)
    address = serve(functools.partial(QuietFiles, directory=str(tmp_path)))  # type: ignore[arg-type]
    with open_url(parse_uri(f"{address}/video.mp4"), 200, ONCE) as source:
        assert source.info.live is False
        assert [number_of(frame.image) for frame in source] == list(range(6))


def test_a_film_behind_a_url_has_the_timeouts_too_but_loses_no_frame(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve
) -> None:
    opened: list[tuple[dict[int, float], str]] = []

    def open_and_note(target: str, api: int, settings: dict[int, float]) -> cv2.VideoCapture | None:
        opened.append((dict(settings), os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]))
        return open_capture(target, api, settings)

    monkeypatch.setattr(camera, "open_capture", open_and_note)
    write_film(tmp_path / "video.mp4", 2)
    address = serve(functools.partial(QuietFiles, directory=str(tmp_path)))  # type: ignore[arg-type]
    open_url(parse_uri(f"{address}/video.mp4"), 200, ONCE).close()
    assert opened
    for settings, options in opened:
        assert settings == {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC: 10_000}
        assert options.startswith("rtsp_transport;tcp")
    assert "nobuffer" not in opened[-1][1]


def test_a_film_behind_a_url_that_ends_early_is_reported(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_film(tmp_path / "video.avi", 24)
    whole = path.read_bytes()
    path.write_bytes(whole[: (whole.index(b"movi") + whole.index(b"idx1")) // 2])
    address = serve(functools.partial(QuietFiles, directory=str(tmp_path)))  # type: ignore[arg-type]
    with open_url(parse_uri(f"{address}/video.avi"), 200, ONCE) as source:
        count = len(list(source))
    assert caplog.messages == [f"{address}/video.avi ends after {count} of 24 frames; it is truncated or damaged"]


@pytest.mark.parametrize("fps", [float("nan"), float("inf"), 0.0])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(
        InputError, match=r"the camera's frame rate is out of range: got \w+ FPS; wanted a number above 0"
    ):
        CameraMode(fps=fps)


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """Network cameras serve this: JPEGs without an end; here with one, so that the client must come again."""

    visits = 0

    def do_GET(self) -> None:
        type(self).visits += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for level in range(0, 200, 10):
            data = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return

    def log_message(self, *_: object) -> None:
        pass


def test_a_network_camera_is_live_and_is_opened_again_when_it_stops(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ssd_edge")
    address = serve(MotionJpeg)
    with open_url(parse_uri(f"{address}/live.mjpg"), 200, ONCE) as source:
        assert source.info.live is True
        frames = []
        for frame in source:
            frames.append(frame.index)
            if caplog.messages and caplog.messages[-1].endswith("is back"):
                source.interrupt()
    assert frames == sorted(set(frames))
    assert frames[-1] >= 10
    assert MotionJpeg.visits >= 2
    assert "next try in" in caplog.messages[0]
