"""The frames in a web browser, for boards without a screen: Motion JPEG over HTTP."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.stream.newest_picture import NewestPicture
from ssd_edge.stream.picture_server import PictureHandler, PictureServer
from ssd_edge.stream.sink import PictureSink


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
        self._newest = NewestPicture()
        try:
            self._server = PictureServer((address.host, address.port), partial(PictureHandler, self._newest, name))
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
