"""Topics of a run at an MQTT broker, and what is published there.

======================== ======== === ==============================================================
topic                    retained QoS payload
======================== ======== === ==============================================================
PREFIX/status            yes      1   ``online`` or ``offline``
PREFIX/STREAM/state      yes      1   :func:`state_message`, at each change of state
PREFIX/STREAM/detections no       0   a line of JSON lines, for each frame with detections, and for
                                      the first without any after some, and then every 10 s
======================== ======== === ==============================================================
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.mqtt.broker import Broker
from ssd_edge.streaming.mqtt.connection import Connection, Delivery
from ssd_edge.streaming.mqtt.outbox import Channel, Outbox
from ssd_edge.streaming.mqtt.topics import topic_level
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink, utc_time
from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus

STATE_FORMAT = "ssd-edge/state/1"
"""Format tag of a state; its JSON schema is in docs/schema/."""

EMPTY_AGAIN_S = 10.0
"""Seconds after which a line of an empty scene is published again, for subscribers that missed it or came later."""

_NO_IMAGE = np.empty((0, 0, 3), np.uint8)


class MqttPublisher:
    """Publishes streams that come and go, from :meth:`start` to :meth:`close`; any thread may call.

    As a context manager it starts, and closes with the error that ends the block.

    Args:
        broker: where.
    """

    def __init__(self, broker: Broker) -> None:
        self._prefix = broker.prefix
        self._connection = Connection(broker, f"{broker.prefix}/status")
        self._outbox = self._connection.outbox
        self._sinks: dict[str, DetectionSink] = {}
        self._states: dict[str, _PublishedState] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> MqttPublisher:
        self.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.close(error)

    @property
    def delivery(self) -> Delivery:
        """Counts of the messages so far."""
        return self._connection.delivery

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._connection.start()

    def add(self, name: str, status: Callable[[], StreamStatus]) -> Callable[[StreamStatus], None]:
        """Publish the state of a stream; return what is to be called at each change of it.

        Args:
            name: of the stream.
            status: returns its status now.

        Raises:
            InputError: the name is too long for a topic.
        """
        topic = self._topic(name, "state")
        state = _PublishedState(name, status, lambda: self._outbox.touch(topic))
        with self._lock:
            self._states[name] = state
        self._outbox.retain(topic, state.message)
        return state.change

    def sink(self, name: str) -> DetectionSink:
        """Return a sink that publishes the detections of a stream."""
        channel = self._outbox.open_channel(self._topic(name, "detections"))
        sink = DetectionSink(self._outbox, channel, name)
        with self._lock:
            self._sinks[name] = sink
        return sink

    def remove(self, name: str) -> None:
        """Publish that the scene of a stream that is no longer there is empty, and remove its state from the broker."""
        with self._lock:
            self._states.pop(name, None)
            sink = self._sinks.pop(name, None)
        if sink is not None:
            sink.end()
            self._outbox.close_channel(sink.channel)
        self._outbox.retain(self._topic(name, "state"), None)

    def close(self, error: BaseException | None = None) -> None:
        """Publish that all streams have stopped, and ``offline``, and disconnect: in less than half a second.

        Args:
            error: that ends the run; streams that have not stopped by themselves have the reason ``error`` then.
        """
        reason = StreamReason.ERROR if isinstance(error, Exception) else StreamReason.END
        with self._lock:
            states = list(self._states.values())
        for state in states:
            state.end(reason)
        self._connection.close()

    def _topic(self, name: str, last: str) -> str:
        return f"{self._prefix}/{topic_level(name)}/{last}"


class _PublishedState:
    """State of a stream as it is published: the end of the run stops it, and hides no fault that it has.

    Args:
        name: of the stream.
        status: returns its status now.
        changed: called when the state is to be published.
    """

    def __init__(self, name: str, status: Callable[[], StreamStatus], changed: Callable[[], None]) -> None:
        self._name, self._status, self._changed = name, status, changed
        self._fault: StreamReason | None = None
        self._ended_at, self._end = 0.0, StreamReason.END

    def change(self, status: StreamStatus) -> None:
        """Publish a change of the state."""
        if status.state is not StreamState.STOPPED:
            self._fault = status.reason
        self._changed()

    def end(self, reason: StreamReason) -> None:
        """Publish that the stream has stopped by the end of the run, unless it has stopped already."""
        if self._status().state is not StreamState.STOPPED:
            self._ended_at, self._end = time.monotonic(), reason
            self._changed()

    def message(self) -> bytes:
        """Return the state as it is now."""
        status = self._status()
        if self._ended_at and status.state is not StreamState.STOPPED:
            reason = status.reason or self._end
            status = replace(status, state=StreamState.STOPPED, reason=reason, since=self._ended_at)
        elif status.state is StreamState.STOPPED and status.reason is StreamReason.END and self._fault is not None:
            status = replace(status, reason=self._fault)  # what was retried has no end of its own
        return state_message(self._name, status)


class DetectionSink(Sink):
    """Publishes a line for each frame with detections, for the first one without any after some, and then at intervals.

    While the scene is empty, a line is published every :data:`EMPTY_AGAIN_S`: a subscriber may have lost a message, or
    begun to listen later. After each reconnect, and after a message was dropped, the next frame is published in any
    case: subscribers may have missed that the scene has become empty.

    Args:
        outbox: of the connection to the broker.
        channel: of the topic.
        stream: name of the stream, for each line.

    Attributes:
        channel: of the topic.
    """

    needs_image = False

    def __init__(self, outbox: Outbox, channel: Channel, stream: str) -> None:
        self.channel = channel
        self._lines = JsonLinesSink(_ChannelLines(outbox, channel), stream=stream)
        self._occupied: Frame | None = None  # the newest frame, if it has detections
        self._published_at = float("-inf")  # capture of the frame

    def write(self, frame: Frame, detections: Detections) -> None:
        """Queue a line, or pass over the frame; never waits for the broker."""
        is_empty = len(detections) == 0
        is_known = self._occupied is None and not self.channel.is_behind
        if is_empty and is_known and 0 <= frame.captured_at - self._published_at < EMPTY_AGAIN_S:
            self._lines.pass_over(frame)
        else:
            self._published_at = frame.captured_at
            self.channel.is_behind = False  # before the line is queued: it may be dropped at once
            self._lines.write(frame, detections)
        self._occupied = None if is_empty else _without_image(frame)

    def end(self) -> None:
        """Publish that the scene is empty, if the newest frame was not: no other frame will follow."""
        if self._occupied is not None:
            self._lines.write(self._occupied, Detections.empty())
            self._occupied = None

    def close(self) -> None:
        """Nothing of its own is open."""


def _without_image(frame: Frame) -> Frame:
    return replace(frame, image=_NO_IMAGE, original_size=(frame.width, frame.height))


class _ChannelLines:
    """Lines as messages to a topic."""

    pieces: int = 0
    last: Path | None = None

    def __init__(self, outbox: Outbox, channel: Channel) -> None:
        self._outbox, self._channel, self.name = outbox, channel, channel.topic

    def write(self, line: bytes) -> None:
        """Queue a message."""
        self._outbox.send(self._channel, line.rstrip(b"\n"))

    def close(self) -> None:
        """The connection stays open."""


def state_message(name: str, status: StreamStatus) -> bytes:
    """Return the state of a stream as JSON.

    =========== ===========================================================================================
    ``format``  :data:`STATE_FORMAT`
    ``stream``  name of the stream
    ``state``   ``starting``, ``running``, ``stalled``, ``retrying`` or ``stopped``
    ``reason``  of the state; null where there is none
    ``since``   when the stream came into this state, in UTC (ISO 8601, milliseconds)
    ``counts``  of frames: ``read``, ``skipped``, ``dropped``, ``repeated``, ``inferred``; ``stalls``, ``retries``
    =========== ===========================================================================================
    """
    counts = {key: getattr(status, key) for key in ("read", "skipped", "dropped", "repeated")}
    fields = {
        "format": STATE_FORMAT,
        "stream": name,
        "state": status.state.value,
        "reason": status.reason.value if status.reason else None,
        "since": utc_time(time.time() - max(0.0, time.monotonic() - status.since)),
        "counts": {**counts, "inferred": status.results, "stalls": status.stalls, "retries": status.retries},
    }
    return msgspec.json.encode(fields)
