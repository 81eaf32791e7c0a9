"""Metrics and health of a run over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ssd_edge.streaming.metrics import CONTENT_TYPE, RunReading, metrics_text
from ssd_edge.streaming.web.access import Access, Address, is_from_here
from ssd_edge.streaming.web.server import Served, WebHandler


class MetricsHandler(WebHandler):
    """Answers ``/metrics``, ``/live`` and ``/ready``; the latter two with 503 where it is not.

    This machine's own health checks need no token: a container's is started without one.

    Args:
        read: returns the run as it is now.
        access: who may look.
        connection: what the server gives.
    """

    def __init__(self, read: Callable[[], RunReading], access: Access, *connection: Any) -> None:
        self._read = read
        super().__init__(access, *connection)

    def refusal(self) -> tuple[HTTPStatus, str] | None:
        """Return why this request is refused; None where it is answered."""
        path = urlsplit(self.path).path
        if path in ("/live", "/ready") and is_from_here(str(self.client_address[0]), self.headers):
            return None
        return super().refusal()

    def _metrics(self) -> None:
        self.send_whole(CONTENT_TYPE, metrics_text(self._read()))

    def _live(self) -> None:
        reading = self._read()
        self._health(reading, is_well=reading.is_live)

    def _ready(self) -> None:
        reading = self._read()
        self._health(reading, is_well=reading.is_ready)

    def _health(self, reading: RunReading, *, is_well: bool) -> None:
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        self.send_whole("application/json", json.dumps(reading.health()).encode() + b"\n", status)

    answers: ClassVar = {"/metrics": _metrics, "/live": _live, "/ready": _ready}


class MetricsServer:
    """Serves the metrics of a run until it is closed. Other machines must show the token of ``token_file``.

    Args:
        address: where.
        read: returns the run as it is now, on any thread.

    Raises:
        DeviceError: nothing can be served there.
        InputError: other machines can look, and there is no place for the token.
    """

    def __init__(self, address: Address, read: Callable[[], RunReading]) -> None:
        access = Access.at(address)
        self.token_file = access.token_file
        self._served = Served(address, partial(MetricsHandler, read, access), "--metrics")
        self.address = self._served.address

    def close(self) -> None:
        """Give the port back."""
        self._served.close()
