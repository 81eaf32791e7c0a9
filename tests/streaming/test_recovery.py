"""Recovery with bounds, against real servers: a short form of ``python -m tests.streaming.recovery``."""

from __future__ import annotations

import pytest

from tests.streaming.recovery import recover
from tests.streaming.test_rtsp import pytestmark as needs_server

pytestmark = [needs_server, pytest.mark.slow]


def test_every_recovery_keeps_its_bound_and_nothing_is_lost_or_left() -> None:
    assert recover(kills=3, stops=1, auth=False) == []
