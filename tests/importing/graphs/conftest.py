from __future__ import annotations

import pytest

from ssd_edge.backends.cpu import Threads


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Nets of a few thousand multiplications do not need threads that wait for work by spinning."""
    monkeypatch.setattr(Threads, "for_latency", staticmethod(lambda: Threads(workers=1, per_worker=1)))
