"""A connection to a real broker, which goes, stops, refuses and comes back."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client

from ssd_edge.core.log import log
from ssd_edge.streaming.mqtt import connection as module
from ssd_edge.streaming.mqtt import outbox
from ssd_edge.streaming.mqtt.broker import Broker, TlsFiles
from ssd_edge.streaming.mqtt.connection import Connection
from ssd_edge.streaming.mqtt.outbox import MOST_WAITING
from ssd_edge.streaming.sources.retry import Retry
from tests.streaming.mqtt.mosquitto import (
    LIMIT_S,
    LOGIN,
    PASSWORD,
    USER,
    Subscriber,
    free_port,
    needs_mosquitto,
    retained,
    serving,
    wait_for,
    write_passwords,
)

pytestmark = needs_mosquitto
STATUS = "ssd-edge/status"
END_LIMIT_S = 0.5


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY", Retry(first_wait_s=0.1, longest_wait_s=0.2))


@contextmanager
def connected(
    port: int, *, login: str = "", password_file: Path | None = None, tls: TlsFiles | None = None
) -> Iterator[Connection]:
    user, _, password = login.partition(":")
    file = None if password_file is None else str(password_file)
    broker = Broker("127.0.0.1", port, user=user or None, password=password or None, password_file=file, tls=tls)
    connection = Connection(broker, STATUS)
    connection.start()
    try:
        yield connection
    finally:
        began = time.monotonic()
        connection.close()
        assert time.monotonic() - began < END_LIMIT_S


def test_a_login_is_used_and_the_status_is_retained(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port, f"password_file {write_passwords(tmp_path)}"), Subscriber(port, login=LOGIN) as reader:
        with connected(port, login=LOGIN) as connection:
            channel = connection.outbox.open_channel("ssd-edge/a/detections")
            connection.outbox.retain("ssd-edge/a/state", lambda: b"fine")
            connection.outbox.send(channel, b"1")
            connection.outbox.send(channel, b"2")
            wait_for(lambda: len(reader.messages) == 4)
            assert retained(port, STATUS, login=LOGIN) == "online"
        wait_for(lambda: reader.of(STATUS) == ["online", "offline"])
        assert reader.of("ssd-edge/a/detections") == ["1", "2"]
        assert {message.topic: message.qos for message in reader.messages} == {
            STATUS: 1,
            "ssd-edge/a/state": 1,
            "ssd-edge/a/detections": 0,
        }
        assert retained(port, STATUS, login=LOGIN) == "offline"
        assert retained(port, "ssd-edge/a/state", login=LOGIN) == "fine"
        assert retained(port, "ssd-edge/a/detections", login=LOGIN) is None
        assert connection.delivery == module.Delivery(is_connected=False, published=5, dropped=0)


def test_a_wrong_password_is_tried_once_a_minute_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(log, "propagate", True)
    port, wrong = free_port(), f"{USER}:wr0ng-secret"
    users = f"password_file {write_passwords(tmp_path)}"
    with serving(tmp_path, port, users), connected(port, login=wrong) as connection:
        wait_for(lambda: "authentication" in caplog.text)
        assert not connection.delivery.is_connected
    (line,) = caplog.messages
    assert float(line.rpartition(" in ")[2].removesuffix(" s")) >= 60
    assert "wr0ng" not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_password_file_is_read_for_each_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", Retry(first_wait_s=0.1, longest_wait_s=0.2, slow_wait_s=0.1))
    port, file = free_port(), tmp_path / "password"
    file.write_text("old-secret\n")
    with (
        serving(tmp_path, port, f"password_file {write_passwords(tmp_path)}"),
        connected(port, login=USER, password_file=file) as connection,
    ):
        wait_for(lambda: "authentication" in caplog.text)
        file.unlink()
        wait_for(lambda: f"{file} cannot be read" in caplog.text)
        file.write_text(f"{PASSWORD}\n")
        wait_for(lambda: connection.delivery.is_connected)
    assert "old-secret" not in caplog.text
    assert PASSWORD not in caplog.text


def test_no_error_before_a_connection_ends_the_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, fails = free_port(), [UnicodeEncodeError("utf-8", "s\udce4cret", 1, 2, "not allowed"), RuntimeError("other")]
    new_client = Connection._new_client

    def failing(connection: Connection) -> Client:
        if fails:
            raise fails.pop()
        return new_client(connection)

    monkeypatch.setattr(Connection, "_new_client", failing)
    with serving(tmp_path, port), connected(port) as connection:
        wait_for(lambda: connection.delivery.is_connected)
    assert not fails


def test_an_attempt_that_outlasts_the_run_announces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, hangs, goes_on = free_port(), threading.Event(), threading.Event()
    connect = Client._create_socket_connection

    def hanging(client: Client) -> socket.socket:
        hangs.set()
        assert goes_on.wait(LIMIT_S)
        return connect(client)

    monkeypatch.setattr(Client, "_create_socket_connection", hanging)
    with serving(tmp_path, port):
        with connected(port) as connection:
            assert hangs.wait(LIMIT_S)
        monkeypatch.undo()
        with Subscriber(port) as reader:
            goes_on.set()
            assert connection._thread is not None
            connection._thread.join(LIMIT_S)
            assert not connection._thread.is_alive()
            assert retained(port, STATUS) is None
            assert not reader.messages


def test_a_broker_that_comes_later_or_comes_back_gets_what_is_true_then(tmp_path: Path) -> None:
    port, state = free_port(), [b"first"]
    with connected(port) as connection:
        connection.outbox.retain("ssd-edge/a/state", lambda: state[0])
        connection.outbox.retain("ssd-edge/gone/state", None)
        channel = connection.outbox.open_channel("t")
        connection.outbox.send(channel, b"waits")
        time.sleep(0.1)  # the first attempt has failed
        with serving(tmp_path, port) as broker, Subscriber(port) as reader:
            wait_for(lambda: retained(port, "ssd-edge/a/state") == "first")
            wait_for(lambda: reader.of("t") == ["waits"])
            channel.is_behind = False
            broker.kill()
            broker.wait()
        wait_for(lambda: not connection.delivery.is_connected)
        state[0] = b"second"
        connection.outbox.touch("ssd-edge/a/state")
        with serving(tmp_path, port):
            wait_for(lambda: retained(port, "ssd-edge/a/state") == "second")
            assert retained(port, STATUS) == "online"
            assert channel.is_behind


def test_a_stopped_broker_makes_nobody_wait_and_costs_the_oldest_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, longest = free_port(), 0.0
    with serving(tmp_path, port) as broker:
        with connected(port) as connection:
            channel = connection.outbox.open_channel("t")
            wait_for(lambda: connection.delivery.is_connected)
            channel.is_behind = False
            broker.send_signal(signal.SIGSTOP)
            for _ in range(3 * MOST_WAITING):
                began = time.monotonic()
                connection.outbox.send(channel, b"0" * 10_000)
                longest = max(longest, time.monotonic() - began)
            assert longest < 0.2
            assert channel.is_behind
            assert connection.delivery.dropped > 0
        delivery = connection.delivery
        assert delivery.published + delivery.dropped >= 3 * MOST_WAITING
        assert delivery.dropped >= MOST_WAITING
        broker.send_signal(signal.SIGCONT)
        wait_for(lambda: retained(port, STATUS) == "offline")
    assert [message for message in caplog.messages if "dropped" in message]


def test_a_message_that_is_no_news_any_more_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LONGEST_WAIT_S", 0.05)
    port = free_port()
    with connected(port) as connection:
        channel = connection.outbox.open_channel("t")
        connection.outbox.send(channel, b"old")
        time.sleep(0.1)
        connection.outbox.send(channel, b"newer")
        assert connection.delivery.dropped == 1
        with serving(tmp_path, port), Subscriber(port) as reader:
            wait_for(lambda: connection.delivery.dropped == 2)
            connection.outbox.send(channel, b"new")
            wait_for(lambda: reader.of("t") == ["new"])


def test_a_broker_that_accepts_and_says_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.1)
    monkeypatch.setattr(module, "_TURN_S", 0.02)
    port = free_port()
    with serving(tmp_path, port) as broker:
        broker.send_signal(signal.SIGSTOP)
        with connected(port) as connection:
            wait_for(lambda: "time-out (no answer within" in caplog.text)
            broker.send_signal(signal.SIGCONT)
            wait_for(lambda: connection.delivery.is_connected)


def test_a_broker_that_hangs_in_mid_run_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEEPALIVE_S", 1)
    monkeypatch.setattr(module, "_TURN_S", 0.05)
    port = free_port()
    with serving(tmp_path, port) as broker, connected(port) as connection:
        wait_for(lambda: connection.delivery.is_connected)
        broker.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_for(lambda: not connection.delivery.is_connected)
        assert time.monotonic() - stopped < 2.5
        broker.send_signal(signal.SIGCONT)
        wait_for(lambda: retained(port, STATUS) == "online")


def test_an_end_before_the_first_connection_is_quick(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port) as broker:
        broker.send_signal(signal.SIGSTOP)
        with connected(port) as connection:
            connection.outbox.send(connection.outbox.open_channel("t"), b"lost")
        assert connection.delivery.dropped == 1


def test_a_removed_message_is_removed_once(tmp_path: Path) -> None:
    """Then the topic may be another run's."""
    port = free_port()
    with serving(tmp_path, port), Subscriber(port) as reader, connected(port) as connection:
        connection.outbox.retain("s", lambda: b"here")
        wait_for(lambda: reader.of("s") == ["here"])
        connection.outbox.retain("s", None)
        wait_for(lambda: reader.of("s") == ["here", ""])
        wait_for(lambda: "s" not in connection.outbox._retained)
        assert retained(port, "s") is None
        connection.outbox.touch("s")
        connection.outbox.retain("last", lambda: b"")
        wait_for(lambda: reader.of("last"))
        assert len(reader.of("s")) == 2


def openssl(folder: Path, *words: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *words]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """The folder with a CA of our own, and the certificates of a broker and of a client that it has signed."""
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key")
    openssl(tmp_path, "-subj", "/CN=edge CA", "-keyout", "ca.key", "-out", "ca.pem")
    name = ("-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(tmp_path, *name, *signed, "-keyout", "broker.key", "-out", "broker.pem")
    openssl(tmp_path, "-subj", "/CN=edge", *signed, "-keyout", "client.key", "-out", "client.pem")
    return tmp_path


def test_tls_checks_the_broker_by_our_own_authority(certificates: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    lines = [f"{name} {certificates / file}" for name, file in (("certfile", "broker.pem"), ("keyfile", "broker.key"))]
    needed = f"cafile {certificates / 'ca.pem'}", "require_certificate true"
    ca, own = (f"ca={certificates}/ca.pem", f"cert={certificates}/client.pem&key={certificates}/client.key")
    with serving(certificates, port, *lines, *needed):
        tls = Broker.parse(f"mqtts://127.0.0.1?{ca}&{own}").tls
        with connected(port, tls=tls) as connection:
            channel = connection.outbox.open_channel("t")
            connection.outbox.send(channel, b"0" * 100_000)
            wait_for(lambda: connection.delivery.published >= 2)
        tls = Broker.parse(f"mqtts://127.0.0.1?{own}").tls  # by the system's authorities
        with connected(port, tls=tls) as connection:
            wait_for(lambda: "TLS (" in caplog.text)
            assert not connection.delivery.is_connected
        with connected(port) as connection:  # without TLS
            wait_for(lambda: "error (" in caplog.text)
            assert not connection.delivery.is_connected


def test_files_of_tls_are_read_for_each_attempt(
    certificates: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", Retry(first_wait_s=0.1, longest_wait_s=0.2, slow_wait_s=0.1))
    port, trusted = free_port(), certificates / "trusted.pem"
    trusted.write_bytes((certificates / "client.pem").read_bytes())
    lines = [f"{name} {certificates / file}" for name, file in (("certfile", "broker.pem"), ("keyfile", "broker.key"))]
    with serving(certificates, port, *lines), connected(port, tls=TlsFiles(str(trusted))) as connection:
        wait_for(lambda: "TLS (" in caplog.text)
        trusted.write_text("half a certificate")
        wait_for(lambda: f"{trusted} holds no certificate" in caplog.text)
        trusted.write_bytes((certificates / "ca.pem").read_bytes())
        wait_for(lambda: connection.delivery.is_connected)
