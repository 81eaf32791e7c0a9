from __future__ import annotations

import logging

import pytest

from ssd_edge.core.log import log


@pytest.fixture(autouse=True)
def _log_as_a_program_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ran before in this process has shown its log."""
    monkeypatch.setattr(log, "handlers", [logging.NullHandler()])
