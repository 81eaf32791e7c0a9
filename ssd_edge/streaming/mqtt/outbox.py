"""Messages that wait for an MQTT broker: bounded in number and in age, so that no stream and no subscriber waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

MOST_WAITING = 1000
"""Messages that wait at most; then the oldest is dropped."""

LONGEST_WAIT_S = 5.0
"""Seconds that a message waits at most: subscribers take what comes for what is there now."""


@dataclass(eq=False)
class Channel:
    """Topic of messages that are not retained.

    Attributes:
        topic: at the broker.
        is_behind: subscribers may lack the newest message, since one was dropped, or the connection is new.
    """

    topic: str
    is_behind: bool = True


@dataclass(frozen=True)
class Message:
    """A message that waits.

    Attributes:
        channel: of its topic.
        payload: as it is sent.
        at: when it was queued, on the clock of ``time.monotonic``.
    """

    channel: Channel
    payload: bytes
    at: float

    def is_late(self, now: float) -> bool:
        """Whether it has waited for too long."""
        return now - self.at > LONGEST_WAIT_S


class Outbox:
    """Streams put in, on any thread and without waiting; the thread of the connection takes out.

    Args:
        added: called after something was put in.

    Attributes:
        dropped: messages that were dropped.
    """

    def __init__(self, added: Callable[[], None]) -> None:
        self._added, self._lock = added, threading.Lock()
        self._queue: deque[Message] = deque()
        self._channels: list[Channel] = []
        self._retained: dict[str, Callable[[], bytes]] = {}
        self._changed: set[str] = set()
        self._queued = 0
        self._removals: dict[str, int] = {}  # messages that were queued before the removal
        self.dropped = 0

    @property
    def is_queued(self) -> bool:
        """Whether a message waits that is not retained."""
        return bool(self._queue)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._queue or self._changed)

    def open_channel(self, topic: str) -> Channel:
        """Return a channel for messages to a topic."""
        channel = Channel(topic)
        with self._lock:
            self._channels.append(channel)
        return channel

    def close_channel(self, channel: Channel) -> None:
        """Forget a channel."""
        with self._lock:
            self._channels.remove(channel)

    def send(self, channel: Channel, payload: bytes) -> None:
        """Queue a message; what has waited for too long, and the oldest of too many, is dropped."""
        now = time.monotonic()
        with self._lock:
            while self._queue and (len(self._queue) >= MOST_WAITING or self._queue[0].is_late(now)):
                self._drop(self._queue.popleft())
            self._queue.append(Message(channel, payload, now))
            self._queued += 1
        self._added()

    def retain(self, topic: str, payload: Callable[[], bytes] | None) -> None:
        """Keep a topic's retained message as ``payload`` returns it when it is sent, and after a reconnect.

        Args:
            topic: at the broker.
            payload: called on the connection's thread; None removes the message from the broker, once the messages
                that were queued before are taken.
        """
        with self._lock:
            self._retained[topic] = _nothing if payload is None else payload
            self._removals.pop(topic, None)
            if payload is None:
                self._removals[topic] = self._queued
            self._changed.add(topic)
        self._added()

    def touch(self, topic: str) -> None:
        """Send a retained message again, since it has changed; of one that was removed nothing is sent."""
        with self._lock:
            if topic in self._retained:
                self._changed.add(topic)
        self._added()

    def begin(self) -> None:
        """Have a new connection send all retained messages, and the next one of each channel where none waits."""
        with self._lock:
            self._changed = set(self._retained)
            waiting = {message.channel for message in self._queue}
            for channel in self._channels:
                channel.is_behind |= channel not in waiting

    def take(self) -> Message | None:
        """Return the next message that is not too old."""
        with self._lock:
            while self._queue:
                message = self._queue.popleft()
                if not message.is_late(time.monotonic()):
                    return message
                self._drop(message)
        return None

    def take_changed(self, unanswered: Collection[str]) -> dict[str, Callable[[], bytes]]:
        """Return the retained messages to send, but for topics whose last one is not acknowledged yet."""
        with self._lock:
            taken = self._queued - len(self._queue)
            due = {
                topic: self._retained[topic]
                for topic in self._changed.difference(unanswered)
                if self._removals.get(topic, 0) <= taken
            }
            self._changed.difference_update(due)
        return due

    def acknowledge(self, topic: str) -> None:
        """Forget a topic whose message is removed now: it may be another run's from now on."""
        with self._lock:
            if self._retained.get(topic) is _nothing and topic not in self._changed:
                del self._retained[topic], self._removals[topic]

    def lose(self, count: int) -> None:
        """Count messages that were taken and could not be sent."""
        with self._lock:
            self.dropped += count

    def clear(self) -> None:
        """Drop what is queued."""
        with self._lock:
            while self._queue:
                self._drop(self._queue.popleft())

    def _drop(self, message: Message) -> None:
        message.channel.is_behind = True
        self.dropped += 1


def _nothing() -> bytes:
    """Return what removes a retained message."""
    return b""
