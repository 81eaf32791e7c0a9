"""RTSP from a real server, GStreamer's; skipped where that is not installed."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.sources.camera import Recovery, open_url
from ssd_edge.streaming.sources.pyav import has_pyav
from ssd_edge.streaming.sources.uri import parse_uri
from ssd_edge.streaming.states import StreamState
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running

PYTHON = "/usr/bin/python3"  # the system's, which has GStreamer's bindings
SERVER = Path(__file__).with_name("rtsp_server.py")
LATENCY_MS = 100


def _server_is_there() -> bool:
    elements = "'x264enc', 'rtph264pay', 'videotestsrc'"
    script = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
        f"Gst.init(None); assert all(map(Gst.ElementFactory.find, ({elements})))"
    )
    try:
        return subprocess.run([PYTHON, "-c", script], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    not _server_is_there(),
    reason="no RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{good,ugly}",
)


@contextmanager
def serving(*login: str, port: str = "0") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command: Sequence[str] = [PYTHON, str(SERVER), port, *(["--login", *login] if login else [])]
    with running(command, stdout=subprocess.PIPE, limit_s=60) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), server


def test_a_stream_gives_live_frames() -> None:
    with serving() as (url, _), open_url(parse_uri(url), LATENCY_MS, Recovery()) as source:
        assert source.info.live
        frames = list(islice(source, 20))
        assert source.info.fps == pytest.approx(30, rel=0.01)
    indexes = [frame.index for frame in frames]
    assert indexes == sorted(set(indexes))  # gaps are frames that newer ones replaced
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}
    assert len({frame.image.tobytes() for frame in frames}) > 10, "the ball moves"
    assert all(frame.image.max() > 200 for frame in frames)


def test_a_login_is_used_and_its_password_is_never_shown() -> None:
    with serving("viewer", "s3cret") as (url, _):
        login = url.replace("rtsp://", "rtsp://viewer:s3cret@")
        with open_url(parse_uri(login), LATENCY_MS, Recovery()) as source:
            assert len(list(islice(source, 3))) == 3
            assert "s3cret" not in source.info.name
        wrong = url.replace("rtsp://", "rtsp://viewer:wr0ng@")
        refused = rf"rtsp://viewer:\*\*\*@.* cannot be opened: got {'authentication' if has_pyav() else 'error'}: "
        with (
            open_url(parse_uri(wrong), LATENCY_MS, Recovery(max_retries=0)) as source,
            pytest.raises(DeviceError, match=refused),
        ):
            next(iter(source))


def test_a_server_that_goes_and_comes_back_is_found_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssd_edge")
    with serving() as (url, server):
        port = url.split(":")[2].split("/")[0]
        with open_url(parse_uri(url), LATENCY_MS, Recovery()) as source:
            frames = iter(source)
            before = [next(frames) for _ in range(5)]
            server.kill()
            server.wait()
            with serving(port=port):
                back = time.monotonic()
                while not caplog.messages or not caplog.messages[-1].endswith("is back"):
                    after = next(frames)
                assert time.monotonic() - back < 16
    assert after.index > before[-1].index
    assert source.monitor.status.retries >= 1


def test_a_stalled_server_is_noticed_and_its_late_frames_are_seen_to_be_late() -> None:
    seen: list[tuple[StreamState, float]] = []
    with serving() as (url, server), open_url(parse_uri(url), LATENCY_MS, Recovery(stall_s=1.0)) as source:
        source.monitor.changed = lambda status: seen.append((status.state, time.monotonic()))
        frames = iter(source)
        for _ in range(10):
            next(frames)
        server.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        threading.Timer(1.5, server.send_signal, [signal.SIGCONT]).start()
        while not seen or seen[-1][0] is not StreamState.RUNNING or seen[-1][1] < stopped:
            frame = next(frames)
            assert frame.captured_at <= time.monotonic()
    states = [state for state, at in seen if at > stopped]
    assert states == [StreamState.STALLED, StreamState.RUNNING]
    assert next(at for state, at in seen if state is StreamState.STALLED) - stopped < 2.5


def test_run_writes_a_line_for_each_frame_of_a_stream(tmp_path: Path) -> None:
    model, lines = write_tiny_onnx(tmp_path / "bright.onnx"), tmp_path / "boxes.jsonl"
    with serving() as (url, _):
        command = [sys.executable, "-m", "ssd_edge", "run", url, "--model", model, "--json", lines]
        done = subprocess.run(
            [*map(str, command), "--no-window", "--max-frames", "15"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert len(found) == 15
    assert all(line["source"] == url and line["detections"] for line in found)
