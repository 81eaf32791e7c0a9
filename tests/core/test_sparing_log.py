from __future__ import annotations

import logging

import pytest

from ssd_edge.core.sparing_log import SparingLog


def test_a_fault_that_lasts_for_a_week_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssd_edge")
    now = 0.0
    log = SparingLog(lambda: now)
    for number in range(7 * 86400 // 4):
        now = 4.0 * number
        log.write(logging.WARNING, "time-out", f"try {number}")
    assert len(caplog.messages) == pytest.approx(3 * 7 * 144, rel=0.01)
    assert caplog.messages[:3] == ["try 0", "try 1", "try 2"]
    assert caplog.messages[3] == "try 151 (148 more such messages were left out)"


def test_one_kind_does_not_silence_another_and_debug_has_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ssd_edge")
    log = SparingLog(lambda: 0.0)
    for kind in ("a", "a", "a", "a", "b"):
        log.write(logging.WARNING, kind, kind)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        *[(logging.WARNING, "a")] * 3,
        (logging.DEBUG, "a"),
        (logging.WARNING, "b"),
    ]
