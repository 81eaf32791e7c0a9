"""A small web server: few connections, none of which holds anything up, and answers only for who may see them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SHUT_RDWR, socket
from socketserver import TCPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ssd_edge.core.errors import DeviceError
from ssd_edge.streaming.web.access import COOKIE, Access, Address

_STALLED_S = 10.0  # a viewer that takes nothing for so long is let go
_ASKING_S = 5.0  # and one that has not said by then what it wants
_MOST_VIEWERS = 32
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


class WebServer(ThreadingHTTPServer):
    """A thread for each of at most 32 viewers; none keeps the run from ending.

    Args:
        address: where.
        handler: answers one connection.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: Address, handler: Any) -> None:
        self.address_family = address.family
        self._asking: dict[int, tuple[socket, float]] = {}  # connections that have not said what they want, until when
        self._open: set[int] = set()
        self._lock = threading.Lock()
        super().__init__((address.host, address.port), handler)

    def server_bind(self) -> None:
        """Bind, without asking for the machine's name, which takes seconds where there is no name server."""
        if self.address_family == AF_INET6:
            self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)  # [::] takes IPv4 too
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, or say at once that there are too many viewers."""
        with self._lock:
            is_one_too_many = len(self._open) >= _MOST_VIEWERS
            if not is_one_too_many:
                self._open.add(id(request))
                self._asking[id(request)] = request, time.monotonic() + _ASKING_S
        if is_one_too_many:
            with suppress(OSError):
                request.setblocking(False)
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def has_asked(self, request: Any) -> None:
        """Note that a viewer has said what it wants, and may take its time."""
        with self._lock:
            self._asking.pop(id(request), None)

    def service_actions(self) -> None:
        """End the connections that have not said in time what they want; called several times a second."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, until in self._asking.values() if until < now]
        for request in late:
            with suppress(OSError):
                request.shutdown(SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.discard(id(request))
            self._asking.pop(id(request), None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a viewer has gone."""


class WebHandler(BaseHTTPRequestHandler):
    """Answers one connection, where it may be answered.

    Args:
        access: who may look.
        connection: what the server gives.

    Attributes:
        answers: the method for each path.
    """

    answers: ClassVar[Mapping[str, Callable[[Any], None]]] = {}
    timeout = _STALLED_S
    server_version, sys_version = "ssd-edge", ""

    def __init__(self, access: Access, *connection: Any) -> None:
        self._access = access
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Answer who may look."""
        if isinstance(self.server, WebServer):
            self.server.has_asked(self.request)
        refusal = self.refusal()
        if refusal is not None:
            self.send_error(refusal[0], explain=refusal[1])
            return
        answer = self.answers.get(urlsplit(self.path).path)
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            answer(self)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def refusal(self) -> tuple[HTTPStatus, str] | None:
        """Return why this request is refused; None where it is answered."""
        return self._access.refusal(self.path, self.headers)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def send_whole(self, kind: str, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer with this body, of a content type."""
        self.begin(kind, ("Content-Length", str(len(body))), status=status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, kind: str, *headers: tuple[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for header in (("Content-Type", kind), ("Cache-Control", "no-store"), *_PROTECTING, *headers):
            self.send_header(*header)
        if self._access.token:
            self.send_header("Set-Cookie", f"{COOKIE}={self._access.token}; Path=/; HttpOnly; SameSite=Strict")
        self.end_headers()


_PROTECTING = (
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


class Served:
    """A server at work on a thread of its own; close it.

    Args:
        address: where; port 0 stands for any free port.
        handler: answers one connection.
        option: that asked for it, for the message.

    Attributes:
        address: with the port that it got.

    Raises:
        DeviceError: nothing can be served there.
    """

    def __init__(self, address: Address, handler: Any, option: str) -> None:
        try:
            self._server = WebServer(address, handler)
        except OSError as error:
            raise DeviceError(
                f"nothing can be served at {address} ({error.strerror or error})",
                do=f"Choose another port, for example: {option} {address.port + 1}",
            ) from error
        self.address = Address(address.host, self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
