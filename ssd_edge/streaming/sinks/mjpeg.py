"""Motion JPEG over HTTP: a page, the video, and the latest image."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_SNDBUF, SOL_SOCKET
from socketserver import TCPServer
from typing import Any

import cv2

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.sinks.base import PictureSink

_QUALITY = 80
_STALLED_S = 10.0  # a viewer that takes nothing for so long is let go
_BYTES_UNDER_WAY = 1 << 17
_BOUNDARY = "frame"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title><style>html,body{{margin:0;height:100%;background:#111}}
img{{display:block;width:100%;height:100%;object-fit:contain}}</style>
<img src="stream.mjpg" alt="{name}"></html>
"""


class LatestImage:
    """The newest picture, and its JPEG once someone has wanted that; for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._picture: UInt8Array | None = None
        self._number = 0
        self._jpeg = (0, b"")
        self._ended = False

    def put(self, picture: UInt8Array) -> None:
        """Make this (H, W, 3) BGR the newest; it must not be changed any more."""
        with self._changed:
            self._picture, self._number = picture, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Wait for a picture later than ``number``; return its number and JPEG, or None where none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._number > number)
            found, picture = self._number, self._picture
            if self._ended or picture is None:
                return None
        with self._encoding:
            if self._jpeg[0] < found:
                data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
                self._jpeg = found, data.tobytes()
            return self._jpeg


class ImageServer(ThreadingHTTPServer):
    """A thread for each viewer; none keeps the run from ending."""

    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind, without asking for the machine's name, which takes seconds where there is no name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a viewer has gone."""


class ImageHandler(BaseHTTPRequestHandler):
    """Answers one viewer: ``/``, ``/stream.mjpg`` or ``/snapshot.jpg``.

    Args:
        newest: what to show.
        name: of the source, for the page's title.
        connection: what the server gives.
    """

    timeout = _STALLED_S

    def __init__(self, newest: LatestImage, name: str, *connection: Any) -> None:
        self._newest, self._name = newest, name
        super().__init__(*connection)

    def setup(self) -> None:
        """Keep few pictures under way, or a slow viewer would see old ones."""
        super().setup()
        self.connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _BYTES_UNDER_WAY)

    def do_GET(self) -> None:
        """Answer."""
        answer = {"/": self._page, "/stream.mjpg": self._film, "/snapshot.jpg": self._snapshot}.get(self.path)
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
        for header in (("Content-Type", kind), ("Cache-Control", "no-store"), *headers):
            self.send_header(*header)
        self.end_headers()


@dataclass(frozen=True)
class Address:
    """Where the pictures are served; port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return what ``PORT`` or ``HOST:PORT`` names; without a host only this machine can look.

        Raises:
            InputError: it is neither.
        """
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise InputError("this is no address to serve at", got=repr(text), wanted="8080, or 0.0.0.0:8080")
        return cls(host or "127.0.0.1", int(port))

    @property
    def is_open(self) -> bool:
        """Whether other machines can look."""
        return self.host not in ("127.0.0.1", "localhost")

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}/"


class BrowserSink(PictureSink):
    """Serves the newest picture to whoever looks; a slow viewer misses pictures, and never holds up the run.

    ``/`` is a page, ``/stream.mjpg`` the film, ``/snapshot.jpg`` the newest picture. A picture is encoded once, in a
    viewer's thread, and not at all where nobody looks.

    Args:
        address: where.
        name: of the source, for the page's title.

    Raises:
        DeviceError: nothing can be served there.
    """

    def __init__(self, address: Address, name: str) -> None:
        self._newest = LatestImage()
        try:
            self._server = ImageServer((address.host, address.port), partial(ImageHandler, self._newest, name))
        except OSError as error:
            raise DeviceError(
                f"nothing can be served at {address.host}:{address.port}",
                got=error.strerror or str(error),
                do="Choose another port: --serve 8081",
            ) from error
        self.address = Address(address.host, self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def show(self, frame: Frame, picture: UInt8Array) -> None:  # noqa: ARG002 - others name their files by it
        """Make this the newest picture."""
        self._newest.put(picture)
        self.written += 1

    def close(self) -> None:
        """End every viewer's film, and give the port back."""
        self._newest.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
