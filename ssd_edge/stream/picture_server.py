"""Motion JPEG over HTTP: a page, the film, and the newest picture."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_SNDBUF, SOL_SOCKET
from socketserver import TCPServer
from typing import Any

from ssd_edge.stream.newest_picture import NewestPicture

_STALLED_S = 10.0  # a viewer that takes nothing for so long is let go
_BYTES_UNDER_WAY = 1 << 17
_BOUNDARY = "frame"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title><style>html,body{{margin:0;height:100%;background:#111}}
img{{display:block;width:100%;height:100%;object-fit:contain}}</style>
<img src="stream.mjpg" alt="{name}"></html>
"""


class PictureServer(ThreadingHTTPServer):
    """A thread for each viewer; none keeps the run from ending."""

    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind, without asking for the machine's name, which takes seconds where there is no name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a viewer has gone."""


class PictureHandler(BaseHTTPRequestHandler):
    """Answers one viewer: ``/``, ``/stream.mjpg`` or ``/snapshot.jpg``.

    Args:
        newest: what to show.
        name: of the source, for the page's title.
        connection: what the server gives.
    """

    timeout = _STALLED_S

    def __init__(self, newest: NewestPicture, name: str, *connection: Any) -> None:
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
