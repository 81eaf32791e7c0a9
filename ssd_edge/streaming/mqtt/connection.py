"""Connection to an MQTT broker that never makes a stream wait.

One thread takes messages out of a bounded :class:`~ssd_edge.streaming.mqtt.outbox.Outbox`, hands them to paho's client,
in which at most one lies at a time, and looks after its socket. paho's own thread is not used: what it holds for a
broker that reads nothing has no limit, and its waits between two attempts have no jitter and are the same after a wrong
password and after a cut cable. A new client for each connection sends nothing that an older one left: retained messages
are made anew from what is true then.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ssd_edge.core.errors import InputError, one_line
from ssd_edge.core.log import counted
from ssd_edge.core.sparing_log import SparingLog
from ssd_edge.streaming.mqtt.broker import Broker
from ssd_edge.streaming.mqtt.outbox import Outbox
from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.streaming.states import StreamError, StreamReason

END_S = 0.35
"""Seconds in which the end of a run hands over what is left."""

ONLINE, OFFLINE = b"online", b"offline"

_RETRY = Retry(first_wait_s=1.0, longest_wait_s=30.0)
_KEEPALIVE_S = 20  # a broker notices after 1.5 times as long that this machine has lost its power
_CONNECT_S = 5.0
_ANSWER_S = 10.0  # to the request to connect: a stopped broker's system accepts connections in its place
_STEADY_S = 30.0  # a connection that lasted so long is made again after the first wait
_ONLINE_S = 60.0  # says "online" again: the will of a connection lost before a power cut may come after the first one
_DROPPED_S = 60.0  # between two reports of dropped messages
_TURN_S, _LAST_TURNS_S = 1.0, 0.02
_MOST_A_TURN = 100
_REFUSED = frozenset({134, 135})  # bad user name or password, not authorized


@dataclass(frozen=True)
class Delivery:
    """Counts of the messages so far.

    Attributes:
        is_connected: now.
        published: messages that were written to the broker; of retained ones, those that it has acknowledged.
        dropped: messages that were not.
    """

    is_connected: bool
    published: int
    dropped: int


class Connection:
    """One broker, connected to in the background until :meth:`close`; any thread may call.

    Args:
        broker: where, and as whom.
        status_topic: retained ``online`` while connected, and ``offline`` after that, however it ends.

    Attributes:
        outbox: what it is to send: retained messages with QoS 1, others with QoS 0.
    """

    def __init__(self, broker: Broker, status_topic: str) -> None:
        self._broker, self._status_topic = broker, status_topic
        self._client_id = f"ssd-edge-{uuid.uuid4().hex[:12]}"  # the same for all connections: a new one ends an old one
        self.outbox = Outbox(self._wake)
        self._ending = threading.Event()
        self._end_due = float("inf")
        self._waker: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._is_awake = False
        self._published, self._reported, self._reported_at = 0, 0, float("-inf")
        self._log = SparingLog()
        # of the thread alone, for one connection:
        self._connected_at: float | None = None
        self._fault: StreamError | None = None
        self._unanswered: dict[str, MQTTMessageInfo] = {}
        self._last: MQTTMessageInfo | None = None
        self._online_at, self._is_farewell_sent, self._has_lasted = float("-inf"), False, False

    @property
    def delivery(self) -> Delivery:
        """Counts now."""
        return Delivery(self._connected_at is not None, self._published, self.outbox.dropped)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        wake, self._waker = socket.socketpair()
        for end in (wake, self._waker):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._work, args=(wake, self._waker), name="ssd-edge MQTT", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what is left, say ``offline`` and disconnect; after :data:`END_S` the broker's will has to do it."""
        self._end_due = time.monotonic() + END_S
        self._ending.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(END_S + _LAST_TURNS_S)  # one that hangs in a name server's answer ends by itself
        self.outbox.clear()
        self._report_dropped(at_once=True)

    def _wake(self) -> None:
        if self._is_awake or self._waker is None:
            return
        self._is_awake = True
        try:
            self._waker.send(b"\0")
        except OSError:  # the thread has ended
            return

    def _work(self, wake: socket.socket, waker: socket.socket) -> None:
        """Connect, and connect again, until the end."""
        attempt = 0
        with wake, waker:
            while not self._ending.is_set():
                fault = self._session(wake)
                if self._ending.is_set():
                    return
                attempt = 0 if self._has_lasted else attempt
                wait, kind = _RETRY.wait_s(attempt, fault.reason), fault.reason.value
                attempt += 1
                self._log_sparingly(logging.WARNING, kind, f"{kind} ({fault.detail}); next try in {wait:.1f} s")
                self._ending.wait(wait)

    def _session(self, wake: socket.socket) -> StreamError:
        """Connect once; return why the connection ended."""
        self._has_lasted, self._fault, self._online_at = False, None, float("-inf")
        client: Client | None = None
        try:
            client = self._new_client()
            client.connect(self._broker.host, self._broker.port, keepalive=_KEEPALIVE_S)
            self._exchange(client, wake)
            return self._fault or StreamError(StreamReason.ERROR, "the connection was closed")
        except StreamError as fault:
            return fault
        except OSError as error:
            return _fault_of(error)
        except InputError as error:  # a file with the password or of TLS, which may be exchanged just now
            return StreamError(StreamReason.ERROR, error.what)
        except Exception as error:  # noqa: BLE001 - whatever it is, the streams go on, and so does this thread
            return StreamError(StreamReason.ERROR, one_line(error))
        finally:
            self._leave(client)

    def _new_client(self) -> Client:
        """Return a client with the password and the certificates that its files contain now.

        Raises:
            InputError: a file cannot be used.
        """
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_S
        client.username_pw_set(self._broker.user, self._broker.read_password())
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls.context())
        client.will_set(self._status_topic, OFFLINE, qos=1, retain=True)
        client.on_socket_open = self._opened
        client.on_connect = self._answered
        return client

    def _opened(self, _client: Client, _: Any, sock: object) -> None:
        """Prepare a new connection, before anything is sent.

        Raises:
            StreamError: :meth:`close` waits no more: another run may be ``online`` under this topic by now.
        """
        if time.monotonic() >= self._end_due:
            raise StreamError(StreamReason.END, "the run has ended")
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # no small message waits for an acknowledgment

    def _answered(
        self, _client: Client, _: Any, _flags: ConnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if reason.is_failure:
            kind = StreamReason.AUTHENTICATION if reason.value in _REFUSED else StreamReason.ERROR
            self._fault = StreamError(kind, str(reason))
            return
        self.outbox.begin()
        self._connected_at = time.monotonic()
        self._log_sparingly(logging.INFO, "connected", f"connected; topics begin with {self._broker.prefix}/")
        self._report_dropped(at_once=True)

    def _exchange(self, client: Client, wake: socket.socket) -> None:
        """Hand messages over and look after the socket, until the connection or the run ends."""
        sock, answer_due, misc_due = client.socket(), time.monotonic() + _ANSWER_S, 0.0
        if sock is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            selector.register(sock, selectors.EVENT_READ)
            while client.socket() is sock and time.monotonic() < self._end_due:
                if self._connected_at is not None:
                    self._hand_over(client)
                elif time.monotonic() > answer_due:
                    raise StreamError(StreamReason.TIMEOUT, f"no answer within {_ANSWER_S:g} s")
                if client.socket() is not sock:  # paho closes it when it is broken, and after the farewell
                    return
                writes = selectors.EVENT_WRITE if client.want_write() else 0
                selector.modify(sock, selectors.EVENT_READ | writes)
                ready = {key.fileobj for key, _ in selector.select(self._turn_s(is_full=bool(writes)))}
                if wake in ready:
                    self._drain(wake)
                if sock in ready:
                    _read(client, sock)
                    client.loop_write()
                if time.monotonic() >= misc_due:
                    misc_due = time.monotonic() + _TURN_S
                    client.loop_misc()

    def _turn_s(self, *, is_full: bool) -> float:
        """Return how long to wait for the broker, or for a message."""
        if self.outbox.is_queued and self._connected_at is not None and not is_full:
            return 0.0
        return _LAST_TURNS_S if self._ending.is_set() else _TURN_S

    def _drain(self, wake: socket.socket) -> None:
        try:
            wake.recv(64)
        except BlockingIOError:
            return
        self._is_awake = False  # before the queue is looked at: what comes later wakes again

    def _hand_over(self, client: Client) -> None:
        """Give paho what waits: retained messages first, others while it holds none that is not written."""
        self._publish_retained(client)
        for _ in range(_MOST_A_TURN):
            if client.want_write():
                break
            self._count_last()
            if client.socket() is None or (message := self.outbox.take()) is None:
                break
            self._last = client.publish(message.channel.topic, message.payload)
        now = time.monotonic()
        if self._ending.is_set():
            self._send_farewell(client)
        elif now - self._online_at >= _ONLINE_S:
            self._online_at = now
            self._publish_status(client, ONLINE)
        if not self.outbox.is_empty:
            self._publish_retained(client)  # what had to wait for the messages before it
        self._report_dropped()

    def _count_last(self) -> None:
        """Count the last message, once it is written or lost; a callback of paho would cost more than the rest."""
        if self._last is not None and _is_done(self._last):
            self._published += 1
        elif self._last is not None:
            self.outbox.lose(1)
        self._last = None

    def _publish_retained(self, client: Client) -> None:
        """Publish retained messages that have changed, each topic's once its last one is acknowledged."""
        for topic in [topic for topic, sent in self._unanswered.items() if _is_done(sent)]:
            del self._unanswered[topic]
            self._published += 1
            self.outbox.acknowledge(topic)
        for topic, payload in self.outbox.take_changed(self._unanswered).items():
            self._unanswered[topic] = client.publish(topic, payload(), qos=1, retain=True)

    def _publish_status(self, client: Client, payload: bytes) -> None:
        self._unanswered[self._status_topic] = client.publish(self._status_topic, payload, qos=1, retain=True)

    def _send_farewell(self, client: Client) -> None:
        """Publish ``offline`` once all else is written and acknowledged, and disconnect once that is, too."""
        if not self.outbox.is_empty or self._unanswered or client.want_write():
            return
        if self._is_farewell_sent:
            client.disconnect()
        else:
            self._is_farewell_sent = True
            self._publish_status(client, OFFLINE)

    def _leave(self, client: Client | None) -> None:
        """Close the connection, and note what it leaves undone."""
        self._has_lasted = self._connected_at is not None and time.monotonic() - self._connected_at > _STEADY_S
        self._connected_at = None
        self._unanswered.clear()
        self._count_last()
        sock = None if client is None else client.socket()
        if sock is not None:
            sock.close()

    def _report_dropped(self, *, at_once: bool = False) -> None:
        now, dropped = time.monotonic(), self.outbox.dropped
        if dropped == self._reported or not (at_once or now - self._reported_at > _DROPPED_S):
            return
        text = f"{counted(dropped - self._reported, 'message')} dropped, as the broker was away or slow"
        self._reported, self._reported_at = dropped, now
        self._log_sparingly(logging.WARNING, "dropped", text)

    def _log_sparingly(self, level: int, kind: str, text: str) -> None:
        self._log.write(level, kind, f"{self._broker.shown}: {text}")


def _read(client: Client, sock: object) -> None:
    """Read what has come; what TLS has unpacked already makes no socket ready again."""
    client.loop_read()
    while client.socket() is sock and isinstance(sock, ssl.SSLSocket) and sock.pending():
        client.loop_read()


def _is_done(sent: MQTTMessageInfo) -> bool:
    """Whether a message was written and, with QoS 1, acknowledged; paho raises an error where its connection broke."""
    try:
        return sent.is_published()
    except (RuntimeError, ValueError):
        return False


def _fault_of(error: OSError) -> StreamError:
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return StreamError(StreamReason.TLS, one_line(getattr(error, "verify_message", "") or error.reason or error))
    if isinstance(error, TimeoutError):
        return StreamError(StreamReason.TIMEOUT, "no answer")
    if isinstance(error, socket.gaierror):
        return StreamError(StreamReason.NOT_FOUND, one_line(error.strerror or error))
    return StreamError(StreamReason.ERROR, one_line(error.strerror or error))
