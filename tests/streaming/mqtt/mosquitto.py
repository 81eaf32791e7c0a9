"""A real broker, Mosquitto, and a subscriber that keeps what it receives; its tests are skipped where there is none."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.processes import running

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
LIMIT_S = 20.0
USER, PASSWORD = "edge", "hunter2-secret"
LOGIN = f"{USER}:{PASSWORD}"

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="no MQTT broker: apt install mosquitto")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    due = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < due
        time.sleep(0.01)


def write_passwords(folder: Path) -> Path:
    """The file of the broker's users."""
    path = folder / "users"
    program = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
    subprocess.run([program, "-b", "-c", str(path), USER, PASSWORD], check=True, capture_output=True)
    return path


@contextmanager
def serving(folder: Path, port: int, *lines: str) -> Iterator[subprocess.Popen[str]]:
    """Run a broker on 127.0.0.1 that keeps nothing for its next start; ``lines`` are of its configuration."""
    assert PROGRAM is not None
    access = () if any(line.startswith("password_file") for line in lines) else ("allow_anonymous true",)
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join([f"listener {port} 127.0.0.1", "user root", "log_type none", *access, *lines, ""]))
    with running([PROGRAM, "-c", str(config)], limit_s=60, stderr=subprocess.DEVNULL) as broker:
        wait_for(lambda: _answers(port))
        yield broker


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Message:
    topic: str
    text: str
    is_retained: bool
    qos: int


class Subscriber:
    """Keeps all messages, in their order."""

    def __init__(self, port: int, *, login: str = "", topics: str = "#") -> None:
        self.messages: list[Message] = []
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        user, _, password = login.partition(":")
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_message = self._keep
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=2)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(LIMIT_S)

    def _keep(self, _client: Client, _: object, message: MQTTMessage) -> None:
        self.messages.append(Message(message.topic, message.payload.decode(), message.retain, message.qos))

    def of(self, topic: str) -> list[str]:
        """The texts of a topic."""
        return [message.text for message in self.messages if message.topic == topic]

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def retained(port: int, topic: str, *, login: str = "") -> str | None:
    """What the broker has retained of a topic."""
    with Subscriber(port, login=login, topics=topic) as reader:
        due = time.monotonic() + 0.1  # retained messages follow the answer to the subscription at once
        while not reader.messages and time.monotonic() < due:
            time.sleep(0.005)
        return reader.messages[0].text if reader.messages else None
