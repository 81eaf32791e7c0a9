"""Motion JPEG over HTTP: a page, the video, and the latest image."""

from __future__ import annotations

import threading
from functools import partial
from html import escape
from http import HTTPStatus
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any, ClassVar

import cv2

from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.sinks.base import ImageSink
from ssd_edge.streaming.web.access import Access, Address
from ssd_edge.streaming.web.server import Served, WebHandler

_QUALITY = 80
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


class ImageHandler(WebHandler):
    """Answers one viewer: ``/``, ``/stream.mjpg`` or ``/snapshot.jpg``.

    Args:
        newest: what to show.
        name: of the source, for the page's title.
        access: who may look.
        connection: what the server gives.
    """

    def __init__(self, newest: LatestImage, name: str, access: Access, *connection: Any) -> None:
        self._newest, self._name = newest, name
        super().__init__(access, *connection)

    def setup(self) -> None:
        """Keep few images under way, or a slow viewer would see old ones."""
        super().setup()
        self.connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _BYTES_UNDER_WAY)

    def _page(self) -> None:
        shown = escape(self._name.encode(errors="backslashreplace").decode())
        self.send_whole("text/html; charset=utf-8", _PAGE.format(name=shown).encode())

    def _snapshot(self) -> None:
        found = self._newest.after(0)
        if found is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self.send_whole("image/jpeg", found[1])

    def _film(self) -> None:
        self.begin(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        if self.command == "HEAD":
            return
        number = 0
        while (found := self._newest.after(number)) is not None:
            number, jpeg = found
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        self.wfile.write(f"--{_BOUNDARY}--\r\n".encode())

    answers: ClassVar = {"/": _page, "/stream.mjpg": _film, "/snapshot.jpg": _snapshot}


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
        access = Access.at(address)
        self.token_file = access.token_file
        self._served = Served(address, partial(ImageHandler, self._newest, name, access), "--serve")
        self.address = self._served.address

    def show(self, frame: Frame, drawn: UInt8Array) -> None:  # noqa: ARG002 - others name their files by it
        """Make this the newest image."""
        self._newest.put(drawn)
        self.written += 1

    def close(self) -> None:
        """End every viewer's video, and give the port back."""
        self._newest.end()
        self._served.close()
