"""Motion JPEG over HTTP: a page, the video, and the latest image."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SHUT_RDWR, SO_SNDBUF, SOL_SOCKET, socket
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.sinks.base import ImageSink
from ssd_edge.streaming.sinks.web_access import COOKIE, Access, Address, read_token, token_path

_QUALITY = 80
_STALLED_S = 10.0  # a viewer that takes nothing for so long is let go
_ASKING_S = 5.0  # and one that has not said by then what it wants
_MOST_VIEWERS = 32
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
_BYTES_UNDER_WAY = 1 << 17
_BOUNDARY = "frame"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title><style>html,body{{margin:0;height:100%;background:#111}}
img{{display:block;width:100%;height:100%;object-fit:contain}}</style>
<img src="stream.mjpg" alt="{name}"></html>
"""


class LatestImage:
    """The newest image, and its JPEG once someone has wanted that; for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._drawn: UInt8Array | None = None
        self._number = 0
        self._jpeg = (0, b"")
        self._ended = False

    def put(self, drawn: UInt8Array) -> None:
        """Make this (H, W, 3) BGR the newest; it must not be changed any more."""
        with self._changed:
            self._drawn, self._number = drawn, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Wait for an image later than ``number``; return its number and JPEG, or None where none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._number > number)
            found, drawn = self._number, self._drawn
            if self._ended or drawn is None:
                return None
        with self._encoding:
            if self._jpeg[0] < found:
                data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
                self._jpeg = found, data.tobytes()
            return self._jpeg


class ImageServer(ThreadingHTTPServer):
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


class ImageHandler(BaseHTTPRequestHandler):
    """Answers one viewer: ``/``, ``/stream.mjpg`` or ``/snapshot.jpg``.

    Args:
        newest: what to show.
        name: of the source, for the page's title.
        access: who may look.
        connection: what the server gives.
    """

    timeout = _STALLED_S
    server_version, sys_version = "ssd-edge", ""

    def __init__(self, newest: LatestImage, name: str, access: Access, *connection: Any) -> None:
        self._newest, self._name, self._access = newest, name, access
        super().__init__(*connection)

    def setup(self) -> None:
        """Keep few images under way, or a slow viewer would see old ones."""
        super().setup()
        self.connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _BYTES_UNDER_WAY)

    def do_GET(self) -> None:
        """Answer who may look."""
        if isinstance(self.server, ImageServer):
            self.server.has_asked(self.request)
        refusal = self._access.refusal(self.path, self.headers)
        if refusal is not None:
            self.send_error(refusal[0], explain=refusal[1])
            return
        answers = {"/": self._page, "/stream.mjpg": self._film, "/snapshot.jpg": self._snapshot}
        answer = answers.get(urlsplit(self.path).path)
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _page(self) -> None:
        shown = escape(self._name.encode(errors="backslashreplace").decode())
        self._send("text/html; charset=utf-8", _PAGE.format(name=shown).encode())

    def _snapshot(self) -> None:
        found = self._newest.after(0)
        if found is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._send("image/jpeg", found[1])

    def _film(self) -> None:
        self._start(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        number = 0
        while (found := self._newest.after(number)) is not None:
            number, jpeg = found
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        self.wfile.write(f"--{_BOUNDARY}--\r\n".encode())

    def _send(self, kind: str, body: bytes) -> None:
        self._start(kind, ("Content-Length", str(len(body))))
        self.wfile.write(body)

    def _start(self, kind: str, *headers: tuple[str, str]) -> None:
        self.send_response(HTTPStatus.OK)
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


class BrowserSink(ImageSink):
    """Serves the newest image to all viewers; a slow viewer misses images, and never holds up the run.

    ``/`` is a page, ``/stream.mjpg`` the video, ``/snapshot.jpg`` the newest image. An image is encoded once, in a
    viewer's thread, and not at all where nobody looks. Other machines must show the token of ``token_file``.

    Args:
        address: where.
        name: of the source, for the page's title.

    Raises:
        DeviceError: nothing can be served there.
        InputError: other machines can look, and there is no place for the token.
    """

    def __init__(self, address: Address, name: str) -> None:
        self._newest = LatestImage()
        self.token_file = token_path() if address.is_open else None
        access = Access(address, read_token(self.token_file) if self.token_file else "")
        try:
            self._server = ImageServer(address, partial(ImageHandler, self._newest, name, access))
        except OSError as error:
            raise DeviceError(
                f"nothing can be served at {address} ({error.strerror or error})",
                do="Choose another port, for example: --serve 8081",
            ) from error
        self.address = Address(address.host, self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def show(self, frame: Frame, drawn: UInt8Array) -> None:  # noqa: ARG002 - others name their files by it
        """Make this the newest image."""
        self._newest.put(drawn)
        self.written += 1

    def close(self) -> None:
        """End every viewer's video, and give the port back."""
        self._newest.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
