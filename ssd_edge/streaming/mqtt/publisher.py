"""Topics of a run at an MQTT broker, and what is published there.

======================== ======== === ==============================================================
topic                    retained QoS payload
======================== ======== === ==============================================================
PREFIX/status            yes      1   ``online`` or ``offline``
PREFIX/STREAM/state      yes      1   :func:`state_message`, at each change of state
PREFIX/STREAM/detections no       0   a line of JSON lines, for each frame with detections, and for
                                      the first without any after some
======================== ======== === ==============================================================
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.shell import is_control
from ssd_edge.streaming.mqtt.broker import Broker
from ssd_edge.streaming.mqtt.connection import Connection, Delivery
from ssd_edge.streaming.mqtt.outbox import Channel, Outbox
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink, utc_time
from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus

STATE_FORMAT = "ssd-edge/state/1"
"""Format tag of a state; its JSON schema is in docs/schema/."""

_MOST_OF_NAME = 10_000  # bytes; with the prefix and the last level far from the 65,535 of a topic
_UNFIT = frozenset("/+#%")


class MqttPublisher:
    """Publishes streams that come and go, from :meth:`start` to :meth:`close`; any thread may call.

    Args:
        broker: where.
    """

    def __init__(self, broker: Broker) -> None:
        self._prefix = broker.prefix
        self._connection = Connection(broker, f"{broker.prefix}/status")
        self._outbox = self._connection.outbox
        self._channels: dict[str, Channel] = {}
        self._names: set[str] = set()
        self._ended_at: float | None = None
        self._lock = threading.Lock()

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
        with self._lock:
            self._names.add(name)
        self._outbox.retain(topic, lambda: state_message(name, self._last_of(status())))
        return lambda _: self._outbox.touch(topic)

    def sink(self, name: str) -> DetectionSink:
        """Return a sink that publishes the detections of a stream."""
        channel = self._outbox.open_channel(self._topic(name, "detections"))
        with self._lock:
            self._channels[name] = channel
        return DetectionSink(self._outbox, channel, name)

    def remove(self, name: str) -> None:
        """Remove the state of a stream that is no longer there from the broker."""
        with self._lock:
            self._names.discard(name)
            channel = self._channels.pop(name, None)
        if channel is not None:
            self._outbox.close_channel(channel)
        self._outbox.retain(self._topic(name, "state"), None)

    def close(self) -> None:
        """Publish that all streams have stopped, and ``offline``, and disconnect: in less than half a second."""
        self._ended_at = time.monotonic()
        with self._lock:
            names = sorted(self._names)
        for name in names:
            self._outbox.touch(self._topic(name, "state"))
        self._connection.close()

    def _last_of(self, status: StreamStatus) -> StreamStatus:
        """Return a status, at the end of the run as one that has stopped."""
        if self._ended_at is None or status.state is StreamState.STOPPED:
            return status
        return replace(status, state=StreamState.STOPPED, reason=StreamReason.END, since=self._ended_at)

    def _topic(self, name: str, last: str) -> str:
        return f"{self._prefix}/{topic_level(name)}/{last}"


class DetectionSink(Sink):
    """Publishes a line for each frame with detections, and for the first one without any after some.

    After each reconnect, and after a message was dropped, the next frame is published in any case: subscribers may
    have missed that the scene has become empty.

    Args:
        outbox: of the connection to the broker.
        channel: of the topic.
        stream: name of the stream, for each line.
    """

    needs_image = False

    def __init__(self, outbox: Outbox, channel: Channel, stream: str) -> None:
        self._channel = channel
        self._lines = JsonLinesSink(_ChannelLines(outbox, channel), stream=stream)
        self._was_empty = True

    def write(self, frame: Frame, detections: Detections) -> None:
        """Queue a line, or pass over the frame; never waits for the broker."""
        is_empty = len(detections) == 0
        if is_empty and self._was_empty and not self._channel.is_behind:
            self._lines.pass_over(frame)
        else:
            self._channel.is_behind = False  # before the line is queued: it may be dropped at once
            self._lines.write(frame, detections)
        self._was_empty = is_empty

    def close(self) -> None:
        """Nothing of its own is open."""


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


def topic_level(name: str) -> str:
    """Return a name as one level of a topic: ``/``, ``+``, ``#`` and what no topic may hold as in URLs (``%2F``).

    Raises:
        InputError: it is too long.
    """
    level = "".join(quote(sign, safe="", errors="surrogatepass") if _is_unfit(sign) else sign for sign in name)
    if len(level.encode()) > _MOST_OF_NAME:
        raise InputError("the name of a stream is too long for an MQTT topic", got=f"{name[:40]!r}…")
    return level


def _is_unfit(sign: str) -> bool:
    """Whether a sign divides topics, is a wildcard, or makes a broker close the connection."""
    return sign in _UNFIT or is_control(sign) or ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF
