from __future__ import annotations

import time

import pytest

from ssd_edge.core import shutdown
from ssd_edge.core.shutdown import begin_closing, is_closing


def test_closing_may_be_interrupted_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "_began", [])
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert not is_closing()
    begin_closing()
    for passed, closing in ((0.0, True), (shutdown.PATIENCE_S - 0.1, True), (shutdown.PATIENCE_S, False)):
        now[0] = 100.0 + passed
        assert is_closing() is closing
    begin_closing()
    assert is_closing()
