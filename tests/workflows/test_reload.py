"""What a reload may do to a run: a stream that fails does so alone, and the end does not wait."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.core import interruptible
from ssd_edge.core.shutdown import ReloadRequest, StopRequest
from ssd_edge.workflows.load import load
from ssd_edge.workflows.open_streams import StreamSet
from ssd_edge.workflows.reload import Reloader
from ssd_edge.workflows.streams_file import FORMAT, read_streams_file
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film

ENTRY = '[[stream]]\nname = "{0}"\nsource = "{0}.mp4"\njson = "{0}.jsonl"\n'


class Pipeline:
    """Keeps the names of the streams that are added to it and taken from it."""

    def __init__(self) -> None:
        self.statuses: dict[str, Any] = {}
        self.added: list[str] = []
        self.removed: list[str] = []

    def add(self, stream: Any) -> None:
        self.added.append(stream.name)

    def remove(self, name: str) -> None:
        self.removed.append(name)


def write(path: Path, *names: str) -> Path:
    path.write_text(f'format = "{FORMAT}"\n' + "".join(ENTRY.format(name) for name in names))
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        write_bright_film(tmp_path / f"{name}.mp4", 3)
    return write_tiny_onnx(tmp_path / "bright.onnx")


def test_a_stream_that_cannot_be_started_costs_none_but_itself(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(place.with_name("streams.toml"), "a", "c")
    (place.with_name("b.jsonl") / "b.jsonl").mkdir(parents=True)
    with load(place) as detector, StreamSet(StopRequest(), shares=True) as streams:
        for plan in read_streams_file(file).plans:
            streams.open_outputs(streams.open_source(plan, alone=False), place)
        slot, request, pipeline = (
            SimpleNamespace(detector=detector, require=lambda _: None),
            ReloadRequest(),
            Pipeline(),
        )
        reloader = Reloader(request, slot, streams, lambda _: place, lambda _: detector, read_streams_file(file))  # type: ignore[arg-type]
        write(file, "b", "absent", "c")
        place.with_name("c.mp4").unlink()  # which runs, and is not looked at
        request.request()
        with caplog.at_level("INFO", logger="ssd_edge"):
            reloader.tick(pipeline, lambda _: None)  # type: ignore[arg-type]
            reloader._work.join(20)  # type: ignore[union-attr]
        assert (pipeline.added, pipeline.removed) == ([], ["a"])
        assert [opened.plan.name for opened in streams.streams] == ["c"]
    assert "b cannot be started: " in caplog.text
    assert "absent cannot be started: " in caplog.text
    assert "2 streams are new, 0 have changed, 1 were removed" in caplog.text


def test_the_end_does_not_wait_for_an_engine_that_is_still_opened(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptible, "_left_behind", [])
    opening, go_on = threading.Event(), threading.Event()

    def find(_: object) -> Path:
        opening.set()
        go_on.wait(20)
        return place

    with load(place) as detector, StreamSet(StopRequest()) as streams:
        slot, request = SimpleNamespace(detector=detector), ReloadRequest()
        reloader = Reloader(request, slot, streams, find, lambda _: detector, None)  # type: ignore[arg-type]
        reloader.end()
        assert interruptible._left_behind == [], "nothing was under way"
        request.request()
        reloader.tick(Pipeline(), lambda _: None)  # type: ignore[arg-type]
        assert opening.wait(20)
        reloader.end()
        (thread,) = interruptible._left_behind
        assert (thread.name, thread.is_alive(), thread.daemon) == ("ssd-edge reload", True, True)
        go_on.set()
        thread.join(20)
        assert not thread.is_alive()
