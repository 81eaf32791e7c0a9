from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink
from tests.processes import running
from tests.streaming.films import frame_at, one_box

NAMES = ("cat", "Fußgänger")


def test_frames_that_are_passed_over_were_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    with JsonLinesSink(path) as sink:
        for index in (0, 1, 4, 5, 7):
            if index in (1, 4):
                sink.pass_over(frame_at(0.0, index))
            else:
                sink.write(frame_at(0.0, index), Detections.empty())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["seq"], line["frame"], line["dropped"]) for line in lines] == [(0, 0, 0), (1, 5, 2), (2, 7, 1)]


def test_a_line_has_exactly_these_fields(tmp_path: Path) -> None:
    path = tmp_path / "new" / "boxes.jsonl"
    found = Detections(
        np.array([[1.23456, 2, 30.5, 40], [0, 0, 5, 5]], np.float32),
        np.array([0.987654321, 0.5], np.float32),
        np.array([1, 0], np.int64),
        NAMES,
    )
    now = time.monotonic()
    with JsonLinesSink(path) as sink:
        sink.write(dataclasses.replace(frame_at(now - 2, 7), time=1.23456), found)
        sink.write(dataclasses.replace(frame_at(now, 8), time=3.25), Detections.empty())
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert list(first) == ["format", "seq", "time", "source", "frame", "t", "age", "dropped", "detections"]
    captured = datetime.fromisoformat(first["time"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - captured).total_seconds() - 2) < 1
    assert 2 <= first["age"] < 3
    known = ("format", "seq", "source", "frame", "t", "dropped", "detections")
    assert {key: first[key] for key in known} == {
        "format": "ssd-edge/detections/1",
        "seq": 0,
        "source": "camera 0",
        "frame": 7,
        "t": 1.2346,
        "dropped": 7,
        "detections": [
            {"box": [1.23, 2.0, 30.5, 40.0], "score": 0.98765, "class_id": 1, "label": "Fußgänger"},
            {"box": [0.0, 0.0, 5.0, 5.0], "score": 0.5, "class_id": 0, "label": "cat"},
        ],
    }
    assert (second["seq"], second["frame"], second["t"], second["dropped"]) == (1, 8, 3.25, 0)


def test_a_line_names_its_stream_where_it_has_a_name(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path / "a.jsonl", stream="gate") as sink:
        sink.write(frame_at(0.0, 0), Detections.empty())
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert list(line)[:3] == ["format", "stream", "seq"]
    assert line["stream"] == "gate"


def test_frames_that_were_dropped_are_counted_in_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JsonLinesSink(path) as sink:
        for index in (0, 1, 5, 6, 9):
            sink.write(frame_at(0.0, index), Detections.empty())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["dropped"] for line in lines] == [0, 0, 3, 0, 2]
    assert [line["seq"] for line in lines] == list(range(5))


def test_each_line_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JsonLinesSink(path) as sink:
        for number in range(3):
            sink.write(frame_at(0.0, number), one_box())
            assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["frame"] == number


def test_what_was_there_stays_until_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    with JsonLinesSink(path) as sink:
        assert path.read_text() == "old\n"
        sink.write(frame_at(0.0), Detections.empty())
    assert "old" not in path.read_text()


def test_stdout_is_written_and_stays_open(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonLinesSink(None) as sink:
        sink.write(frame_at(0.0, 3), Detections.empty())
    sys.stdout.write("after\n")
    line, after = capsys.readouterr().out.splitlines()
    assert json.loads(line)["frame"] == 3
    assert after == "after"


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder: wanted a file"):
        JsonLinesSink(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file cannot be written.*wanted a writable folder"):
        JsonLinesSink(tmp_path / "file" / "a.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(InputError, match=r"a\.jsonl cannot be written .No space left on device."),
        JsonLinesSink(tmp_path / "a.jsonl") as sink,
    ):
        sink.write(frame_at(0.0), Detections.empty())
    assert sink.written == 0


def test_a_file_that_may_not_be_written_is_refused_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"a\.jsonl cannot be written .Permission denied.: wanted a writable file"):
        JsonLinesSink(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such devices")
def test_a_device_needs_no_room_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        pytest.fail(f"a file was made in {folder}")

    monkeypatch.setattr("ssd_edge.streaming.sinks.line_file.make_folder", refuse)
    with JsonLinesSink(Path("/dev/null")) as sink:
        sink.write(frame_at(0.0), Detections.empty())
    assert sink.written == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_gets_the_lines(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with JsonLinesSink(pipe) as sink:
        sink.write(frame_at(0.0, 5), Detections.empty())
    reader.join(10)
    assert json.loads(read[0])["frame"] == 5


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="File name too long"):
        JsonLinesSink(tmp_path / ("a" * 300))


def test_a_file_whose_name_is_no_utf8_is_found_again_by_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    name = os.fsdecode(b"caf\xe9.jpg")
    frame = dataclasses.replace(frame_at(0.0), source=name)
    with JsonLinesSink(path) as sink:
        sink.write(frame, one_box())
    line = json.loads(path.read_text(encoding="utf-8"))
    assert os.fsencode(line["source"]) == b"caf\xe9.jpg"
    assert line["detections"][0]["label"] == "Fußgänger"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_stdout_of_any_encoding_gets_json(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    frame = dataclasses.replace(frame_at(0.0), source="Ω\U0001f600.jpg")
    with JsonLinesSink(None) as sink:
        sink.write(frame, one_box())
    line = json.loads(stdout.buffer.getvalue().decode(encoding))
    assert (line["source"], line["detections"][0]["label"]) == ("Ω\U0001f600.jpg", "Fußgänger")


def test_the_stdout_that_was_there_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    with JsonLinesSink(None) as sink:
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        sink.write(frame_at(0.0), Detections.empty())
    assert stdout.getvalue().count("\n") == 1


def test_a_reader_that_has_gone_is_named_once() -> None:
    program = (
        "import sys\n"
        "from ssd_edge.core.detections import Detections\n"
        "from ssd_edge.core.errors import InputError\n"
        "from ssd_edge.streaming.sinks.json_lines import JsonLinesSink\n"
        "from tests.streaming.films import frame_at\n"
        "sink = JsonLinesSink(None)\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    sink.write(frame_at(0.0), Detections.empty())\n"
        "except InputError as error:\n"
        "    sys.stderr.write(str(error))\n"
    )
    read, write = os.pipe()
    with running([sys.executable, "-c", program], stdin=PIPE, stdout=write, stderr=PIPE) as process:
        os.close(write)
        os.close(read)
        _, said = process.communicate("go\n", timeout=60)
    assert said.startswith("stdout cannot be written (Broken pipe)")
    assert "Exception ignored" not in said
    assert process.returncode == 0
