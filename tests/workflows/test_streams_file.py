from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssd_edge.core.choices import Goal
from ssd_edge.core.errors import InputError
from ssd_edge.core.shutdown import ReloadRequest, StopRequest
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.streams_file import FORMAT, STREAM_FIELDS, read_streams_file
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film

LIMIT_S = 30.0
HEAD = f'format = "{FORMAT}"\n'


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_streams_take_the_defaults_that_they_do_not_change(tmp_path: Path) -> None:
    file = read_streams_file(
        write(
            tmp_path / "streams.toml",
            HEAD + '[engine]\nmodel = "m.engine"\noptimize_for = "throughput"\nmax_batch = 4\n'
            '[defaults]\nthreshold = 0.4\njson = "all.jsonl"\n'
            '[[stream]]\nname = "gate"\nsource = "rtsp://cam/1"\nclasses = ["dog"]\nthresholds = {dog = 0.7}\n'
            '[[stream]]\nname = "yard"\nsource = "0"\nthreshold = 0.6\ndetect_fps = 5\n',
        )
    )
    assert file.model == Path("m.engine")
    assert (file.config.optimize_for, file.config.max_batch) == (Goal.THROUGHPUT, 4)
    gate, yard = file.plans
    assert (gate.name, gate.uri, yard.uri) == ("gate", "rtsp://cam/1", "0")
    assert (gate.config.score_threshold, yard.config.score_threshold) == (0.4, 0.6)
    assert gate.config.json_path == yard.config.json_path == Path("all.jsonl")
    assert (gate.config.classes, gate.config.thresholds) == (("dog",), {"dog": 0.7})
    assert yard.config.detect_fps == 5.0


def test_a_folder_of_lines_has_a_file_for_each_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    entry = '[[stream]]\nname = "{}"\nsource = "0"\n'
    text = HEAD + '[defaults]\njson = "new/"\n' + entry.format("a b/c") + entry.format("yard") + 'json = "there"\n'
    first, second = read_streams_file(write(tmp_path / "streams.toml", text)).plans
    assert (first.config.json_path, second.config.json_path) == (Path("new/a-b-c.jsonl"), Path("there/yard.jsonl"))
    text = HEAD + '[defaults]\njson = "new/"\n' + entry.format("入口") + entry.format("出口")
    plans = read_streams_file(write(tmp_path / "streams.toml", text)).plans
    assert [plan.config.json_path for plan in plans] == [Path("new/入口.jsonl"), Path("new/出口.jsonl")]


ONE = '[[stream]]\nname = "a"\nsource = "0"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 1", "is not valid TOML"),
        (ONE, f'is not a streams file: got format = None; wanted format = "{re.escape(FORMAT)}"'),
        (HEAD, "has no streams"),
        (HEAD + "[[stream]]\nname = 'a'\n", "has no name or no source"),
        (HEAD + ONE + ONE, "two streams are called 'a'"),
        (HEAD + ONE + "treshold = 0.5\n", "there is no key 'treshold'.*Did you mean threshold"),
        (HEAD + ONE + "threshold = 'high'\n", r"\[\[stream\]\] 'a': score_threshold has the wrong type"),
        (
            HEAD + "[[stream]]\nname = 'a'\nsource = 0\n",
            r"'a': source has the wrong type: got the number 0; wanted text, also for a camera: source = \"0\"",
        ),
        *(
            (
                head + f"masks = {masks}\n" + tail,
                r"'a': masks has the wrong type: .* masks = \[\"0,0 0\.4,0 0\.4,0\.3\"\]",
            )
            for head, tail in ((HEAD + ONE, ""), (HEAD + "[defaults]\n", ONE))
            for masks in ("[[[0, 0], [0.4, 0], [0.4, 0.3]]]", "'0,0 0.4,0 0.4,0.3'", "[0, 1]", "1")
        ),
        (HEAD + ONE + "every = 0\n", "every is out of range: got 0"),
        (
            HEAD + "[engine]\noptimize_for = 'many'\n" + ONE,
            r"\[engine\]: optimize_for is not one of the allowed values: got 'many'",
        ),
        (HEAD + "[engine]\nevery = 2\n" + ONE, r"\[engine\]: there is no key 'every'"),
        (HEAD + "engine = 1\n" + ONE, r"engine is not a table: wanted a table \[engine\]"),
        (HEAD + "defaults = []\n" + ONE, "defaults is not a table"),
        (HEAD + "camera = 1\n" + ONE, "there is no key 'camera'"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_streams_file(write(tmp_path / "streams.toml", text))


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "streaming.md").read_text()
    named = {"json_path": "json", "score_threshold": "threshold"}
    assert not [key for key in STREAM_FIELDS if f"`{named.get(key, key)}`" not in text]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    for name in "abc":
        write_bright_film(tmp_path / f"{name}.mp4", 30)
    return tmp_path


def streams_of(*names: str) -> str:
    entry = '[[stream]]\nname = "{0}"\nsource = "{0}.mp4"\njson = "all.jsonl"\nloop = true\npace = 50.0\n'
    return HEAD + "".join(entry.format(name) for name in names)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_file_is_read_again_and_a_new_model_takes_over_while_the_rest_goes_on(workspace: Path) -> None:
    file, stop, reload = write(workspace / "streams.toml", streams_of("a", "b")), StopRequest(), ReloadRequest()
    out = workspace / "all.jsonl"
    runner = threading.Thread(target=run_streams, kwargs={"streams_file": file, "stop": stop, "reload": reload})
    runner.start()

    def wait_for(condition) -> None:  # type: ignore[no-untyped-def]
        due = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < due
            assert runner.is_alive()
            time.sleep(0.02)

    wait_for(lambda: {line["source"] for line in lines(out)} == {"a.mp4", "b.mp4"})
    write(file, streams_of("a", "c"))
    write_tiny_onnx(workspace / "engines" / "bright" / "bright.onnx", shift=0.25)
    reload.request()
    wait_for(lambda: any(line["source"] == "c.mp4" for line in lines(out)))
    wait_for(lambda: lines(out)[-1]["detections"][0]["box"][0] > 20)
    write(file, "nonsense = ")
    reload.request()
    before = len(lines(out))
    wait_for(lambda: len(lines(out)) > before + 20)
    stop.request()
    runner.join(LIMIT_S)
    assert not runner.is_alive()
    written = lines(out)
    steady = [line["seq"] for line in written if line["source"] == "a.mp4"]
    assert steady == list(range(len(steady)))
    last_of_b = max(number for number, line in enumerate(written) if line["source"] == "b.mp4")
    assert last_of_b < min(number for number, line in enumerate(written) if line["source"] == "c.mp4")
    assert {line["source"] for line in written[-10:]} == {"a.mp4", "c.mp4"}


@pytest.fixture
def running(workspace: Path) -> Iterator[Callable[[str], None]]:
    """A run of stream ``a``; call it with the next text of its file, and it has been read when that returns."""
    file, stop, reload = workspace / "streams.toml", StopRequest(), ReloadRequest()
    write(file, streams_of("a") + "threshold = 0.9\n")
    kwargs = {"streams_file": file, "stop": stop, "reload": reload}
    runner = threading.Thread(target=run_streams, kwargs=kwargs)
    runner.start()
    wait_until(lambda: len(lines(workspace / "all.jsonl")) > 3)

    def take(text: str) -> None:
        write(file, text)
        reload.request()
        wait_until(lambda: not reload._requested)
        wait_until(lambda: not any(thread.name == "ssd-edge reload" for thread in threading.enumerate()))

    yield take
    stop.request()
    runner.join(LIMIT_S)
    assert not runner.is_alive()


def wait_until(condition: Callable[[], object]) -> None:
    due = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.02)


def test_a_stream_that_comes_later_has_its_own_threshold(workspace: Path, running: Callable[[str], None]) -> None:
    first, second = streams_of("a") + "threshold = 0.9\n", streams_of("b").removeprefix(HEAD) + "threshold = 0.5\n"
    running(first + second)
    wait_until(lambda: any(line["source"] == "b.mp4" for line in lines(workspace / "all.jsonl")))
    found = {line["source"]: len(line["detections"]) for line in lines(workspace / "all.jsonl")}
    assert found == {"a.mp4": 0, "b.mp4": 1}


def test_other_keys_of_the_engine_wait_for_a_restart_and_no_stream_restarts(
    workspace: Path, running: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    engine = '[engine]\nmetrics = "127.0.0.1:0"\n'
    running(streams_of("a").replace("[[stream]]", f"{engine}[[stream]]", 1) + "threshold = 0.9\n")
    assert "of [engine], only model is read again" in caplog.text
    before = len(lines(workspace / "all.jsonl"))
    wait_until(lambda: len(lines(workspace / "all.jsonl")) > before + 3)
    written = [line["seq"] for line in lines(workspace / "all.jsonl")]
    assert written == list(range(len(written)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('classes = ["zebra"]\n', "the model has no class 'zebra'"),
        ("every = 0\n", "every is out of range"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(
    workspace: Path, running: Callable[[str], None], caplog: pytest.LogCaptureFixture, more: str, message: str
) -> None:
    running(streams_of("b", "c") + more)
    assert f"the streams stay as they are: {message}" in caplog.text.replace(
        f"{workspace / 'streams.toml'}: ", ""
    ).replace("[[stream]] 'c': ", "")
    before = len(lines(workspace / "all.jsonl"))
    wait_until(lambda: len(lines(workspace / "all.jsonl")) > before + 5)
    assert {line["source"] for line in lines(workspace / "all.jsonl")} == {"a.mp4"}


def test_the_file_may_name_another_model(workspace: Path, running: Callable[[str], None]) -> None:
    model = write_tiny_onnx(workspace / "other.onnx", shift=0.25)
    running(streams_of("b").replace(HEAD, f'{HEAD}[engine]\nmodel = "{model.name}"\n'))
    wait_until(lambda: lines(workspace / "all.jsonl")[-1]["source"] == "b.mp4")
    assert lines(workspace / "all.jsonl")[-1]["detections"][0]["box"][0] > 20


def test_whatever_fails_in_a_reload_the_run_goes_on(
    workspace: Path, running: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    (workspace / "engines" / "bright" / "bright.onnx").unlink()
    running(streams_of("a", "b"))
    assert "the streams stay as they are" in caplog.text
    before = len(lines(workspace / "all.jsonl"))
    wait_until(lambda: len(lines(workspace / "all.jsonl")) > before + 5)


def test_several_sources_write_to_one_file_or_to_a_folder(workspace: Path) -> None:
    result = run_streams(["a.mp4", "b.mp4"], json_path="all.jsonl")
    assert result.frames == 60
    assert [(stream.name, stream.frames, stream.json_path) for stream in result.streams] == [
        ("a", 30, Path("all.jsonl")),
        ("b", 30, Path("all.jsonl")),
    ]
    for name in "ab":
        found = [line for line in lines(workspace / "all.jsonl") if line["source"] == f"{name}.mp4"]
        assert [(line["seq"], line["frame"]) for line in found] == [(number, number) for number in range(30)]
    run_streams(["a.mp4", "b.mp4"], json_path="boxes", output="videos")
    for name in "ab":
        assert [line["frame"] for line in lines(workspace / "boxes" / f"{name}.jsonl")] == list(range(30))
        assert (workspace / "videos" / f"{name}.mkv").stat().st_size > 0


def test_an_absent_camera_ends_its_stream_and_not_the_others(workspace: Path) -> None:
    result = run_streams(["a.mp4", "63"], json_path="all.jsonl")
    assert len(lines(workspace / "all.jsonl")) == 30
    assert [stream.name for stream in result.failed] == ["camera-63"]
    assert "camera 63 cannot be opened" in result.failed[0].error


def test_an_absent_file_is_looked_for_where_the_command_runs(workspace: Path) -> None:
    (workspace / "conf").mkdir()
    file = write(workspace / "conf" / "streams.toml", HEAD + '[[stream]]\nname = "gate"\nsource = "gone.mp4"\n')
    with pytest.raises(InputError) as caught:
        run_streams(streams_file=file)
    assert caught.value.what == "the source gone.mp4 of the stream gate does not exist"
    assert caught.value.got == f"no such file or folder in {workspace}"
    assert caught.value.wanted.startswith("a path relative to the folder where the command runs")
