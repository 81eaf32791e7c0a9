"""Streams as they are opened: what they share, what is replaced, and what an absent one has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.workflows import open_streams, stream_plan
from ssd_edge.workflows.open_streams import StreamSet
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.stream_config import RunConfig
from ssd_edge.workflows.stream_plan import StreamPlan
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")
    for name in "ab":
        write_bright_film(tmp_path / f"{name}.mp4", 10)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_the_lines_of_several_sources_on_stdout_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_streams(["a.mp4", "b.mp4"], json_path="-")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for name in ("a.mp4", "b.mp4"):
        assert [line["seq"] for line in found if line["source"] == name] == list(range(10))
    assert [stream.json_path for stream in result.streams] == [None, None], "no file was written"


def test_lines_of_one_source_in_two_streams_name_their_stream(place: Path) -> None:
    entry = '[[stream]]\nname = "{}"\nsource = "a.mp4"\njson = "all.jsonl"\n'
    (place / "streams.toml").write_text(
        'format = "ssd-edge/streams/1"\n' + entry.format("gate") + entry.format("yard"), encoding="utf-8"
    )
    run_streams(streams_file=place / "streams.toml")
    found = [json.loads(line) for line in (place / "all.jsonl").read_text().splitlines()]
    for name in ("gate", "yard"):
        assert [line["seq"] for line in found if line["stream"] == name] == list(range(10))


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("sources", "names"), [(["a.mp4", "b.mp4"], {"a", "b"}), (["a.mp4", "a.mp4"], {"a", "a-2"}), ("a.mp4", {None})]
)
@pytest.mark.parametrize("lines", ["-", "all.jsonl", "lines/"])
def test_lines_name_their_stream_where_several_run(
    place: Path, capsys: pytest.CaptureFixture[str], sources: str | list[str], names: set[str | None], lines: str
) -> None:
    (place / "lines").mkdir()
    path = "lines/one.jsonl" if lines == "lines/" and sources == "a.mp4" else lines
    run_streams(sources, json_path=path)
    texts = [capsys.readouterr().out, *(file.read_text() for file in place.rglob("*.jsonl"))]
    found = [json.loads(line) for text in texts for line in text.splitlines()]
    assert {line.get("stream") for line in found} == names
    assert [line["format"] for line in found] == ["ssd-edge/detections/1"] * len(found)


def test_a_shared_file_of_before_is_replaced_and_that_is_said(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    (place / "all.jsonl").write_text("of before\n")
    with caplog.at_level("INFO", logger="ssd_edge"):
        run_streams(["a.mp4", "b.mp4"], json_path="all.jsonl")
    assert "all.jsonl already exists and is replaced" in caplog.text
    found = [json.loads(line) for line in (place / "all.jsonl").read_text().splitlines()]
    assert len(found) == 20
    caplog.clear()
    with caplog.at_level("INFO", logger="ssd_edge"):
        run_streams(["a.mp4", "b.mp4"], json_path="all.jsonl", cut="1h")
    assert "is replaced" not in caplog.text, "pieces are added, and each has a name of its own"


def test_shared_lines_that_would_overwrite_an_input_are_refused(place: Path) -> None:
    before = (place / "a.mp4").read_bytes()
    with pytest.raises(InputError, match=r"a\.mp4"):
        run_streams(["a.mp4", "b.mp4"], json_path="a.mp4")
    assert (place / "a.mp4").read_bytes() == before


class Frames(Source):
    def __init__(self) -> None:
        super().__init__(SourceInfo("camera", live=True))

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(np.zeros((64, 64, 3), np.uint8), 0, 0.0, "camera")


def test_frames_that_leave_the_decoder_small_are_shown_nowhere(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the window either that a run opens by itself where nothing else is asked for."""
    asked: list[object] = []
    monkeypatch.setattr(stream_plan, "open_source", lambda *_, **options: asked.append(options["scale_to"]) or Frames())
    shown: list[bool | None] = []
    opens = open_streams.open_outputs
    monkeypatch.setattr(open_streams, "open_outputs", lambda *values: shown.append(values[3].window) or opens(*values))
    with StreamSet(StopRequest()) as streams:
        plan = StreamPlan("gate", "rtsp://camera/1", RunConfig(scale_in_decoder=True))
        opened = streams.open_source(plan, alone=True, input_size=(96, 64))
        streams.open_outputs(opened, place / "engines/bright/bright.onnx")
        with pytest.raises(InputError, match="cannot be shown, saved or masked: got --window"):
            streams.open_source(StreamPlan("yard", plan.uri, RunConfig(scale_in_decoder=True, window=True)), alone=True)
    assert (asked, shown) == ([(96, 64)], [False])


def test_an_absent_camera_has_no_outputs(place: Path) -> None:
    with StreamSet(StopRequest()) as streams:
        plan = StreamPlan("gate", "63", RunConfig(json_path=place / "gate.jsonl"))
        opened = streams.open_source(plan, alone=False)
        assert opened.source is None
        assert "camera 63 cannot be opened" in str(opened.error)
        with pytest.raises(DeviceError, match="gate is not open"):
            streams.open_outputs(opened, place / "engines/bright/bright.onnx")
        assert streams.written(opened) == (None, None)
    assert not (place / "gate.jsonl").exists()
