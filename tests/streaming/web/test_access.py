"""Who may look at the served page: not another site's script, not another machine without the token."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.mjpeg import BrowserSink
from ssd_edge.streaming.web import server
from ssd_edge.streaming.web.access import Address, read_token, token_path

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def opened(host: str = "127.0.0.1") -> BrowserSink:
    sink = BrowserSink(Address(host, 0), "camera 0")
    image = np.full((48, 64, 3), 90, np.uint8)
    sink.show(Frame(image, 0, 0.0, "camera 0"), image)
    return sink


@pytest.fixture
def local() -> Iterator[BrowserSink]:
    with opened() as sink:
        yield sink


@pytest.fixture
def shared() -> Iterator[BrowserSink]:
    with opened("0.0.0.0") as sink:
        yield sink


def ask(sink: BrowserSink, path: str = "/snapshot.jpg", host: str = "", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", sink.address.port, timeout=LIMIT_S)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{sink.address.port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-").lower(), value)
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:9999", "[::1]:80"])
def test_this_machine_looks_by_its_own_names(local: BrowserSink, host: str) -> None:
    answer = ask(local, host=host)
    assert (answer.status, answer.read()[:2]) == (200, b"\xff\xd8")


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1.attacker.example", "10.0.0.1", "localhost.evil", "[x"])
@pytest.mark.parametrize("path", ["/", "/snapshot.jpg", "/stream.mjpg"])
def test_a_name_that_was_led_to_this_machine_is_refused(local: BrowserSink, host: str, path: str) -> None:
    assert ask(local, path, host=host).status == 421


def test_another_sites_page_is_refused(local: BrowserSink) -> None:
    here = f"127.0.0.1:{local.address.port}"
    assert ask(local, Origin="https://attacker.example").status == 403
    assert ask(local, Origin="null").status == 403
    assert ask(local, Origin="http://127.0.0.1:1").status == 403
    assert ask(local, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    assert ask(local, Origin=f"http://{here}").status == 200
    assert ask(local, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200


def test_nothing_may_embed_or_keep_the_page(local: BrowserSink) -> None:
    answer = ask(local, "/")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Python" not in answer.headers["Server"]


def test_other_machines_show_the_token(shared: BrowserSink) -> None:
    assert shared.token_file is not None
    token = shared.token_file.read_text().strip()
    for path in ("/", "/snapshot.jpg", "/stream.mjpg", f"/snapshot.jpg?token={token[:-1]}", "/?token="):
        answer = ask(shared, path)
        assert answer.status == 401
        assert token not in answer.read().decode()
    page = ask(shared, f"/?token={token}", host="board.local:8080")
    assert page.status == 200
    cookie = page.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert token not in page.read().decode()
    assert ask(shared, Cookie=cookie.partition(";")[0]).status == 200
    assert ask(shared, Authorization=f"Bearer {token}").status == 200
    assert ask(shared, f"/snapshot.jpg?token={token}", Origin="https://attacker.example").status == 403


def test_the_token_is_its_owners_and_stays(tmp_path: Path) -> None:
    path = token_path()
    token = read_token(path)
    assert path.is_relative_to(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(token) >= 32
    assert read_token(path) == token
    path.unlink()
    assert read_token(path) != token


def test_a_token_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = token_path()
    read_token(path)
    path.chmod(0o644)
    with pytest.raises(
        InputError, match="is not a valid token file: got mode 644; wanted a token in a file of mode 600"
    ):
        read_token(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(InputError, match="is not a valid token file"):
        read_token(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be written"):
        read_token(path)


def _connected(sink: BrowserSink, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", sink.address.port), LIMIT_S) for _ in range(count)]


def test_viewers_are_bounded_and_those_that_ask_nothing_make_room(
    local: BrowserSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_ASKING_S", 1.5)
    began = time.monotonic()
    idle = _connected(local, 200)
    assert time.monotonic() - began < 5.0
    time.sleep(0.3)
    threads = [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]
    assert len(threads) <= server._MOST_VIEWERS
    assert any(connection.recv(12) == b"HTTP/1.0 503" for connection in idle[-10:])
    deadline = time.monotonic() + LIMIT_S
    while ask(local).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for connection in idle:
        connection.close()


def test_ipv6_is_served() -> None:
    try:
        sink = opened("::1")
    except DeviceError:
        pytest.skip("this machine has no IPv6")
    with sink:
        assert sink.token_file is None
        with socket.create_connection(("::1", sink.address.port), LIMIT_S) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nHost: [::1]:{sink.address.port}\r\n\r\n".encode())
            assert connection.recv(15) == b"HTTP/1.0 200 OK"


@pytest.mark.parametrize(
    ("text", "host", "is_open", "url"),
    [
        ("[::1]:80", "::1", False, "http://[::1]:80/"),
        ("[::]:80", "::", True, "http://[::1]:80/"),
        ("127.0.0.5:80", "127.0.0.5", False, "http://127.0.0.5:80/"),
        ("localhost:80", "localhost", False, "http://localhost:80/"),
        ("10.0.0.7:80", "10.0.0.7", True, "http://10.0.0.7:80/"),
    ],
)
def test_addresses_of_both_kinds(text: str, host: str, is_open: bool, url: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.is_open, address.url) == (host, is_open, url)


@pytest.mark.parametrize("text", ["::1:80", "[::1]", "[::g]:80", "a b:80", "http://h:80"])
def test_what_is_no_address_of_ipv6_is_named(text: str) -> None:
    with pytest.raises(InputError, match="--serve is not a valid address"):
        Address.parse(text)


@pytest.mark.parametrize(
    "cookies",
    ["a/b=1; {}", "{}; a,b=1", "=; {}", 'theme="dark; x"; {}', "ssd-edge-token=old; {}"],
    ids=["refused before", "refused behind", "no name", "quoted", "of another path"],
)
def test_cookies_of_other_programs_on_the_host_lock_nobody_out(shared: BrowserSink, cookies: str) -> None:
    """Browsers send the cookies of all ports; Python's reader gives up at a name such as a/b."""
    token = read_token(token_path())
    assert ask(shared, Cookie=cookies.format(f"ssd-edge-token={token}")).status == 200
    assert ask(shared, Cookie=cookies.format(f"ssd-edge-token={token[:-1]}")).status == 401
    assert ask(shared, Cookie=cookies.format(f"x-ssd-edge-token={token}")).status == 401
