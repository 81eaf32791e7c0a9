from __future__ import annotations

import pytest

from ssd_edge.core.choices import OnFailure
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks import lasting
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sinks.lasting import OutputGroup
from tests.streaming.films import frame_at


class Disk(Sink):
    """Takes frames while it has room."""

    def __init__(self, room: int) -> None:
        self.room, self.frames = room, list[int]()

    def write(self, frame: Frame, detections: Detections) -> None:
        if self.room == 0:
            raise InputError("a.jsonl cannot be written", got="No space left on device")
        self.room -= 1
        self.frames.append(frame.index)

    def close(self) -> None:
        pass


def write(sinks: list[Sink], indices: range) -> None:
    for index in indices:
        for sink in sinks:
            sink.write(frame_at(0.0, index), Detections.empty())


def test_an_output_that_fails_ends_alone_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    group, small, large = OutputGroup(), Disk(2), Disk(99)
    write([group.sink(small, "a.jsonl"), group.sink(large, "b.jsonl")], range(6))
    assert small.frames == [0, 1]
    assert large.frames == list(range(6))
    (lost,) = group.left_out()
    assert str(lost) == "a.jsonl: 4 frames are not in it: No space left on device"
    assert caplog.text.count("the rest goes on without it") == 1


def test_where_nothing_is_left_to_write_the_run_ends() -> None:
    group = OutputGroup()
    with pytest.raises(InputError, match="No space left"):
        write([group.sink(Disk(2), "a.jsonl"), group.sink(Disk(4), "b.jsonl")], range(9))


def test_the_run_stops_at_the_first_failure_where_that_is_asked_for() -> None:
    group, large = OutputGroup(OnFailure.STOP), Disk(99)
    with pytest.raises(InputError, match="No space left"):
        write([group.sink(large, "b.jsonl"), group.sink(Disk(2), "a.jsonl")], range(9))
    assert large.frames == [0, 1, 2]


def test_what_is_cut_into_pieces_goes_on_when_there_is_room_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(lasting.time, "monotonic", lambda: now[0])
    group, disk = OutputGroup(), Disk(2)
    sink = group.sink(disk, "a.jsonl", retries=True)
    for index in range(40):
        now[0] += 1
        disk.room = 99 if index == 25 else disk.room
        write([sink], range(index, index + 1))
    assert disk.frames == [0, 1, *range(32, 40)]  # tried every ten seconds
    assert group.left_out()[0].why.startswith("30 frames")
    assert caplog.text.count("tried again every 10 s") == 1
    assert "a.jsonl goes on: 30 frames are not in it" in caplog.text


def test_a_reader_that_has_gone_ends_the_run() -> None:
    class Gone(Disk):
        def write(self, frame: Frame, detections: Detections) -> None:
            raise InputError("stdout cannot be written", got="Broken pipe") from BrokenPipeError()

    group = OutputGroup()
    with pytest.raises(InputError, match="Broken pipe"):
        write([group.sink(Disk(99), "a.jsonl"), group.sink(Gone(0), "stdout")], range(1))
