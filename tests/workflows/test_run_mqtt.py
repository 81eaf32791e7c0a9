"""Real runs that publish at a real broker."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.shutdown import ReloadRequest, StopRequest
from ssd_edge.streaming.batcher import Captured
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.metrics import RunReading, metrics_text
from ssd_edge.streaming.mqtt import connection as connection_module
from ssd_edge.streaming.mqtt import publisher as publisher_module
from ssd_edge.streaming.mqtt.broker import PASSWORD_VARIABLE
from ssd_edge.streaming.mqtt.connection import Delivery
from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.workflows.run_streams import RunResult, run_streams
from ssd_edge.workflows.streams_file import FORMAT
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film, write_film
from tests.streaming.mqtt.mosquitto import (
    LOGIN,
    PASSWORD,
    USER,
    Subscriber,
    free_port,
    needs_mosquitto,
    retained,
    serving,
    wait_for,
    write_passwords,
)

LIMIT_S = 30.0
PACED = {"loop": True, "pace": 50.0}
ENTRY = '[[stream]]\nname = "{0}"\nsource = "{1}.mp4"\nloop = true\npace = 50.0\n'


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection_module, "_RETRY", Retry(first_wait_s=0.1, longest_wait_s=0.2))
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    write_bright_film(tmp_path / "gate.mp4", 10)
    write_film(tmp_path / "dark.mp4", 3)
    return tmp_path


@contextmanager
def running(stop: StopRequest, **options: Any) -> Iterator[list[RunResult]]:
    results: list[RunResult] = []
    thread = threading.Thread(target=lambda: results.append(run_streams(stop=stop, **options)), daemon=True)
    thread.start()
    try:
        yield results
    finally:
        stop.request()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def state_of(port: int, topic: str, login: str = "") -> str:
    text = retained(port, topic, login=login)
    return str(json.loads(text)["state"]) if text else ""


def streams_file(workspace: Path, port: int, *entries: str, engine: str = "") -> Path:
    path = workspace / "streams.toml"
    head = f'format = "{FORMAT}"\n[engine]\nmqtt = "mqtt://{USER}@127.0.0.1:{port}/site/yard"\n{engine}'
    path.write_text(head + "".join(entries))
    return path


@needs_mosquitto
def test_a_run_publishes_its_streams_and_that_it_is_there(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(publisher_module, "EMPTY_AGAIN_S", LIMIT_S)  # on a busy machine, 10 s may pass
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    port, reload = free_port(), ReloadRequest()
    gate, dark = ENTRY.format("north/gate", "gate"), ENTRY.format("dark", "dark")
    camera = '[[stream]]\nname = "camera"\nsource = "63"\n'
    file = streams_file(workspace, port, gate, dark, camera)
    with serving(workspace, port, f"password_file {write_passwords(workspace)}"), Subscriber(port, login=LOGIN) as read:
        with running(StopRequest(), streams_file=file, reload=reload) as results:
            wait_for(lambda: len(read.of("site/yard/north%2Fgate/detections")) >= 5)
            wait_for(lambda: read.of("site/yard/dark/detections"))
            assert retained(port, "site/yard/status", login=LOGIN) == "online"
            assert state_of(port, "site/yard/north%2Fgate/state", LOGIN) == "running"
            wait_for(lambda: state_of(port, "site/yard/camera/state", LOGIN) == "stopped")
            streams_file(workspace, port, gate)
            reload.request()
            wait_for(lambda: retained(port, "site/yard/dark/state", login=LOGIN) is None)
        wait_for(lambda: read.of("site/yard/status") == ["online", "offline"])
        last = json.loads(retained(port, "site/yard/north%2Fgate/state", login=LOGIN) or "")
        assert retained(port, "site/yard/dark/state", login=LOGIN) is None
    lines = [json.loads(text) for text in read.of("site/yard/north%2Fgate/detections")]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert {line["stream"] for line in lines} == {"north/gate"}
    assert {entry["label"] for line in lines for entry in line["detections"]} == {"dog"}
    assert [json.loads(text)["detections"] for text in read.of("site/yard/dark/detections")] == [[]]
    done = next(stream for stream in results[0].streams if stream.name == "north/gate")
    assert (last["state"], last["counts"]["inferred"], len(lines)) == ("stopped", done.frames, done.frames)
    assert PASSWORD not in caplog.text


@needs_mosquitto
def test_one_image_is_published_before_the_run_ends(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "END_S", LIMIT_S)  # on a busy machine, connecting takes longer than a run
    image = np.zeros((64, 128, 3), np.uint8)
    image[:32, :32] = 255
    cv2.imwrite("the photo.png", image)
    port = free_port()
    with serving(workspace, port), Subscriber(port) as reader:
        run_streams("the photo.png", mqtt=f"mqtt://127.0.0.1:{port}", window=None)
        wait_for(lambda: reader.of("ssd-edge/status") == ["online", "offline"])
        (line,) = reader.of("ssd-edge/the-photo/detections")
        assert json.loads(line)["stream"] == "the-photo"
        assert json.loads(reader.of("ssd-edge/the-photo/state")[-1])["state"] == "stopped"


@needs_mosquitto
def test_an_error_that_ends_the_run_is_the_reason_of_its_streams(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, detect = free_port(), EngineSlot.detect

    with serving(workspace, port), Subscriber(port) as reader:

        def failing(slot: EngineSlot, batch: Sequence[Captured]) -> list[Detections]:
            if reader.of("ssd-edge/gate/detections"):
                raise ArtifactError("the graph failed")
            return detect(slot, batch)

        monkeypatch.setattr(EngineSlot, "detect", failing)
        with pytest.raises(ArtifactError, match="the graph failed"):
            run_streams("gate.mp4", mqtt=f"mqtt://127.0.0.1:{port}", **PACED)
        wait_for(lambda: reader.of("ssd-edge/status") == ["online", "offline"])
        last = json.loads(reader.of("ssd-edge/gate/state")[-1])
    assert (last["state"], last["reason"]) == ("stopped", "error")


@needs_mosquitto
def test_a_broker_that_is_absent_killed_and_stopped_slows_no_stream(workspace: Path) -> None:
    port, stop = free_port(), StopRequest()
    counts: list[int] = []
    with running(
        stop,
        sources="gate.mp4",
        mqtt=f"mqtt://127.0.0.1:{port}",
        status=lambda statuses: counts.append(sum(status.results for status in statuses.values())),
        **PACED,
    ) as results:
        wait_for(lambda: counts and counts[-1] >= 3)
        for _ in range(2):
            with serving(workspace, port) as broker:
                wait_for(lambda: state_of(port, "ssd-edge/gate/state") == "running")
                assert retained(port, "ssd-edge/status") == "online"
                broker.kill()
                broker.wait()
        with serving(workspace, port) as broker, Subscriber(port) as reader:
            wait_for(lambda: reader.of("ssd-edge/gate/detections"))
            broker.send_signal(signal.SIGSTOP)
            before, began = counts[-1], time.monotonic()
            wait_for(lambda: counts[-1] >= before + 40)
            assert (counts[-1] - before) / (time.monotonic() - began) > 0.5 * PACED["pace"]
            ended = time.monotonic()
            stop.request()
            wait_for(lambda: results)
            assert time.monotonic() - ended < 1.0
            broker.send_signal(signal.SIGCONT)
            wait_for(lambda: retained(port, "ssd-edge/status") == "offline")


def test_the_messages_are_counted_for_prometheus() -> None:
    reading = RunReading(0.0, "1", "m", "m.engine", 0.0, 0.0, 30.0, (), Delivery(True, 7, 2))
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics_text(reading).decode())
        for sample in family.samples
        if "mqtt" in sample.name
    }
    assert found == {
        "ssd_edge_mqtt_connected": 1,
        "ssd_edge_mqtt_messages_published_total": 7,
        "ssd_edge_mqtt_messages_dropped_total": 2,
    }


def test_an_address_that_cannot_be_used_costs_no_file(workspace: Path) -> None:
    kept = workspace / "kept.jsonl"
    kept.write_text("kept")
    with pytest.raises(InputError, match="--mqtt is not a valid address"):
        run_streams("gate.mp4", mqtt="broker:1883", json_path=kept)
    assert kept.read_text() == "kept"
