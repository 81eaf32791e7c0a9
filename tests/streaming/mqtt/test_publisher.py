"""What is published, without a broker."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InferenceHangError, InputError
from ssd_edge.streaming.mqtt.broker import Broker
from ssd_edge.streaming.mqtt.outbox import Channel
from ssd_edge.streaming.mqtt.publisher import DetectionSink, MqttPublisher, state_message
from ssd_edge.streaming.mqtt.topics import topic_level
from ssd_edge.streaming.states import StreamMonitor, StreamReason, StreamState, StreamStatus
from tests.streaming.films import frame_at, one_box


class Kept:
    """An outbox that keeps its messages."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, channel: Channel, payload: bytes) -> None:
        self.messages.append(payload)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(message) for message in self.messages]


def written(kept: Kept, sink: DetectionSink, scenes: Sequence[tuple[int, bool]]) -> list[int]:
    """The indexes of the frames that were published."""
    before = len(kept.messages)
    for index, is_found in scenes:
        sink.write(frame_at(time.monotonic(), index), one_box() if is_found else Detections.empty())
    return [int(str(line["frame"])) for line in kept.lines[before:]]


def test_frames_with_detections_are_published_and_the_first_without_any() -> None:
    kept, channel = Kept(), Channel("t")
    sink = DetectionSink(kept, channel, "gate")  # type: ignore[arg-type]
    scenes = [(0, False), (1, True), (2, True), (4, False), (5, False), (7, False), (9, True)]
    assert written(kept, sink, scenes) == [0, 1, 2, 4, 9]
    lines = kept.lines
    assert [line["seq"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["dropped"] for line in lines] == [0, 0, 0, 1, 2], "frames that were inferred were not dropped"
    assert [len(line["detections"]) for line in lines] == [0, 1, 1, 0, 1]  # type: ignore[arg-type]
    for line, message in zip(lines, kept.messages, strict=True):
        assert line["stream"] == "gate"
        assert b"\n" not in message


def test_after_a_gap_the_next_frame_is_published_in_any_case() -> None:
    kept, channel = Kept(), Channel("t")
    sink = DetectionSink(kept, channel, "gate")  # type: ignore[arg-type]
    assert written(kept, sink, [(0, False), (1, False)]) == [0], "the first of a connection"
    channel.is_behind = True
    assert written(kept, sink, [(2, False), (3, False)]) == [2]


def test_an_empty_scene_is_published_again_and_again() -> None:
    kept = Kept()
    sink = DetectionSink(kept, Channel("t"), "gate")  # type: ignore[arg-type]
    for second in range(25):
        sink.write(frame_at(float(second), second), one_box() if second == 3 else Detections.empty())
    assert [line["frame"] for line in kept.lines] == [0, 3, 4, 14, 24]
    assert [line["seq"] for line in kept.lines] == list(range(5))


def test_a_removed_stream_leaves_no_detections_behind() -> None:
    publisher = MqttPublisher(Broker("127.0.0.1", 1))
    for name, scenes in {"occupied": [True], "empty": [True, False], "new": []}.items():
        publisher.add(name, lambda: StreamStatus("s"))
        sink = publisher.sink(name)
        for index, is_found in enumerate(scenes):
            sink.write(frame_at(0.0, index), one_box() if is_found else Detections.empty())
    outbox = publisher._outbox
    outbox.take_changed(())  # as they are sent
    for name in ("occupied", "empty", "new"):
        publisher.remove(name)
    taken = []
    while True:
        assert not outbox.take_changed(()), "a state is removed after the last line"
        message = outbox.take()
        assert message is not None
        taken.append((message.channel.topic, json.loads(message.payload)))
        if not outbox.is_queued:
            break
    topics = [topic for topic, _ in taken]
    assert topics == [f"ssd-edge/{name}/detections" for name in ("occupied", "empty", "empty", "occupied")]
    last = taken[-1][1]
    assert (last["seq"], last["frame"], last["detections"]) == (1, 0, [])
    removed = {topic: payload() for topic, payload in outbox.take_changed(()).items()}
    assert removed == {f"ssd-edge/{name}/state": b"" for name in ("occupied", "empty", "new")}


@pytest.mark.parametrize(
    ("states", "error", "reason"),
    [
        ([(StreamState.RUNNING, None)], None, "end"),
        ([(StreamState.RUNNING, None)], KeyboardInterrupt(), "end"),
        ([(StreamState.RUNNING, None)], InferenceHangError("hung"), "error"),
        ([(StreamState.RETRYING, StreamReason.NOT_FOUND)], None, "not found"),
        ([(StreamState.RETRYING, StreamReason.NOT_FOUND)], InferenceHangError("hung"), "not found"),
        ([(StreamState.STALLED, StreamReason.TIMEOUT), (StreamState.STOPPED, StreamReason.END)], None, "time-out"),
        ([(StreamState.STALLED, StreamReason.TIMEOUT), (StreamState.RUNNING, None)], None, "end"),
        ([(StreamState.STALLED, StreamReason.TIMEOUT), (StreamState.STOPPED, StreamReason.CODEC)], None, "codec"),
        ([(StreamState.STOPPED, StreamReason.END)], InferenceHangError("hung"), "end"),
    ],
)
def test_the_last_state_has_the_reason_of_the_end(
    states: Sequence[tuple[StreamState, StreamReason | None]], error: BaseException | None, reason: str
) -> None:
    publisher, monitor = MqttPublisher(Broker("127.0.0.1", 1)), StreamMonitor("gate")
    monitor.changed = publisher.add("gate", lambda: monitor.status)
    for state in states:
        monitor.enter(*state)
    (payload,) = publisher._outbox.take_changed(()).values()
    assert json.loads(payload())["state"] == states[-1][0].value
    publisher.close(error)
    is_new = states[-1][0] is not StreamState.STOPPED
    assert len(publisher._outbox.take_changed(())) == is_new, "a state that has not changed is not published again"
    found = json.loads(payload())
    assert (found["state"], found["reason"]) == ("stopped", reason)


def test_a_state_has_reason_time_and_counts() -> None:
    since = time.monotonic() - 60
    status = StreamStatus("s", StreamState.RETRYING, StreamReason.TIMEOUT, "user:pw", since, 9, 1, 2, 3, 4, 5, 6)
    found = json.loads(state_message("the gate", status))
    assert (found["stream"], found["state"], found["reason"]) == ("the gate", "retrying", "time-out")
    counts = {"read": 9, "skipped": 1, "dropped": 2, "repeated": 3, "inferred": 4, "stalls": 5, "retries": 6}
    assert found["counts"] == counts
    assert found["since"][:16] == time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 60))
    running = json.loads(state_message("gate", StreamStatus("s", StreamState.RUNNING, since=since)))
    assert running["reason"] is None


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("gate", "gate"),
        ("north gate-1.a", "north gate-1.a"),
        ("入口", "入口"),
        ("a/b", "a%2Fb"),
        ("+", "%2B"),
        ("#", "%23"),
        ("100%", "100%25"),
        ("a\0\n", "a%00%0A"),
        ("\ud800", "%ED%A0%80"),
        ("\ufffe", "%EF%BF%BE"),
    ],
)
def test_a_name_is_one_level_of_a_topic(name: str, level: str) -> None:
    assert topic_level(name) == level


def test_a_name_that_no_topic_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="too long"):
        topic_level("a" * 60_000)
