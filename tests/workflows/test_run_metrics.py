"""Metrics of real runs, asked for over HTTP while they last."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import ReloadRequest, StopRequest
from ssd_edge.streaming.metrics import DetectionCounter
from ssd_edge.streaming.web.access import read_token, token_path
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.streams_file import FORMAT
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film

LIMIT_S = 30.0
PACED = {"loop": True, "pace": 50.0}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    for name in ("gate", "yard"):
        write_bright_film(tmp_path / f"{name}.mp4", 10)
    return tmp_path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def asked(port: int, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(holds: Callable[[], bool]) -> None:
    due = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < due
        time.sleep(0.05)


@contextmanager
def running(stop: StopRequest, **options: object) -> Iterator[None]:
    thread = threading.Thread(target=lambda: run_streams(stop=stop, **options), daemon=True)  # type: ignore[arg-type]
    thread.start()
    try:
        yield
    finally:
        stop.request()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def answers(port: int) -> bool:
    try:
        return asked(port, "/ready")[0] == 200
    except OSError:
        return False


def total(text: str, name: str, **labels: str) -> float:
    return next(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels.items() >= labels.items()
    )


def test_a_run_tells_of_its_streams_while_it_lasts(workspace: Path) -> None:
    port = free_port()
    sources = [workspace / "gate.mp4", workspace / "yard.mp4"]
    with running(
        StopRequest(),
        sources=sources,
        metrics=str(port),
        loop=True,
        pace=50.0,
        score_threshold=0.0,
        track=True,
        workspace=workspace,
    ):
        wait_for(lambda: answers(port))
        wait_for(lambda: total(asked(port, "/metrics")[1], "ssd_edge_frames_inferred_total", stream="yard") >= 5)
        status, text = asked(port, "/metrics")
        assert status == 200
        assert total(text, "ssd_edge_stream_up", stream="gate") == 1
        assert total(text, "ssd_edge_detections_total", stream="gate", label="dog") >= 1
        assert total(text, "ssd_edge_objects_total", stream="yard", label="dog") >= 1
        assert total(text, "ssd_edge_frame_seconds_count", stream="yard", stage="end_to_end") >= 5
        assert total(text, "ssd_edge_engine_info", file=str(workspace / "engines/bright/bright.onnx")) == 1
        ready = json.loads(asked(port, "/ready")[1])
        assert ready["live"] is ready["ready"] is True
        assert ready["streams"].keys() == {"gate", "yard"}
        assert asked(port, "/live")[0] == 200
        assert asked(port, "/")[0] == 404
        assert asked(port, "/metrics", Origin="http://elsewhere")[0] == 403
    with pytest.raises(urllib.error.URLError, match="refused"):
        asked(port, "/live")


def test_a_stream_that_is_added_or_removed_comes_or_goes(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    port, reload = free_port(), ReloadRequest()
    head = f'format = "{FORMAT}"\n[engine]\nmetrics = "127.0.0.1:{port}"\n[defaults]\nloop = true\npace = 50.0\n'
    entry = '[[stream]]\nname = "{0}"\nsource = "{0}.mp4"\n'
    file = workspace / "streams.toml"
    file.write_text(head + entry.format("gate"))
    with running(StopRequest(), streams_file=file, reload=reload, workspace=workspace):
        wait_for(lambda: answers(port))
        assert 'stream="yard"' not in asked(port, "/metrics")[1]
        file.write_text(head + entry.format("yard"))
        reload.request()
        wait_for(lambda: json.loads(asked(port, "/ready")[1])["streams"].keys() == {"yard"})
        wait_for(lambda: total(asked(port, "/metrics")[1], "ssd_edge_frames_inferred_total", stream="yard") >= 1)
        assert 'stream="gate"' not in asked(port, "/metrics")[1]


def test_a_source_that_is_absent_is_told_as_stopped(workspace: Path) -> None:
    port = free_port()
    file = workspace / "streams.toml"
    file.write_text(
        f'format = "{FORMAT}"\n[engine]\nmetrics = "{port}"\n[[stream]]\nname = "gate"\n'
        f'source = "{workspace / "gate.mp4"}"\nloop = true\npace = 50.0\n[[stream]]\nname = "camera"\nsource = "63"\n'
    )
    with running(StopRequest(), streams_file=file, workspace=workspace):
        wait_for(lambda: answers(port))
        text = asked(port, "/metrics")[1]
        assert total(text, "ssd_edge_stream_up", stream="camera") == 0
        assert total(text, "ssd_edge_stream_state", stream="camera", ssd_edge_stream_state="stopped") == 1
        assert json.loads(asked(port, "/ready")[1])["streams"]["camera"]["reason"] == "error"


def test_other_machines_need_the_token(workspace: Path) -> None:
    port = free_port()
    with running(
        StopRequest(),
        sources=workspace / "gate.mp4",
        metrics=f"0.0.0.0:{port}",
        loop=True,
        pace=50.0,
        workspace=workspace,
    ):
        wait_for(lambda: token_path().is_file() and token_path().read_text().endswith("\n"))
        token = read_token(token_path())
        wait_for(lambda: _status(port, token) == 200)
        assert asked(port, "/metrics")[0] == 401
        assert asked(port, "/metrics", Authorization=f"Bearer {token}")[0] == 200
        assert asked(port, "/live")[0] == asked(port, "/ready")[0] == 200  # a container's own check has no token
        assert asked(port, "/live", Host="elsewhere")[0] == 401
        assert asked(port, "/live", Origin="http://elsewhere")[0] == 403


def test_heads_are_answered_without_a_body(workspace: Path) -> None:
    port = free_port()
    with running(StopRequest(), sources=workspace / "gate.mp4", metrics=str(port), **PACED, workspace=workspace):
        wait_for(lambda: answers(port))
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", method="HEAD")
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            assert (answer.status, answer.read()) == (200, b"")
            assert int(answer.headers["Content-Length"]) > 1000


def test_an_output_of_the_only_stream_that_hangs_is_no_live_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, hang = free_port(), threading.Event()
    write = DetectionCounter.write

    def hanging(counter: DetectionCounter, frame: Frame, detections: Detections) -> None:
        write(counter, frame, detections)
        if frame.index >= 3:
            hang.wait(LIMIT_S)

    monkeypatch.setattr(DetectionCounter, "write", hanging)
    options = {"sources": workspace / "gate.mp4", "metrics": str(port), "hang_timeout": 1.0, "workspace": workspace}
    with running(StopRequest(), **PACED, **options):
        wait_for(lambda: answers(port))
        wait_for(lambda: asked(port, "/live")[0] == 503)
        assert total(asked(port, "/metrics")[1], "ssd_edge_last_result_age_seconds", stream="gate") > 0.5
        hang.set()
        wait_for(lambda: asked(port, "/live")[0] == 200)


def _status(port: int, token: str) -> int:
    try:
        return asked(port, "/live", Authorization=f"Bearer {token}")[0]
    except OSError:
        return 0


def test_an_address_that_cannot_be_served_is_named(workspace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeviceError, match=rf"127.0.0.1:{port} \(.*--metrics {port + 1}"):
            run_streams(workspace / "gate.mp4", metrics=str(port), workspace=workspace)
    kept = workspace / "kept.jsonl"
    kept.write_text("kept")
    with pytest.raises(InputError, match="--metrics is not a valid address: got 'here'"):
        run_streams(workspace / "gate.mp4", metrics="here", json_path=kept, workspace=workspace)
    assert kept.read_text() == "kept"
