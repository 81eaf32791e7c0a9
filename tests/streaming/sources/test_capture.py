from __future__ import annotations

import os
import sys

import cv2
import pytest

from ssd_edge.streaming.sources.opencv import quiet_opencv

LEVEL = "OPENCV_FFMPEG_LOGLEVEL"


def test_an_opencv_of_jetpack_is_silenced_by_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """4.6 to 4.12 have no ``cv2.utils.logging``: importing it ended every camera, video and stream."""
    levels: list[int] = []
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    monkeypatch.setattr(cv2, "getLogLevel", lambda: 3, raising=False)
    monkeypatch.setattr(cv2, "setLogLevel", levels.append, raising=False)
    monkeypatch.delattr(cv2.utils, "logging", raising=False)
    monkeypatch.setitem(sys.modules, "cv2.utils.logging", None)
    with quiet_opencv():
        assert levels == [0]
    assert levels == [0, 3]


@pytest.mark.parametrize("users", [None, "48"])
def test_environment_and_level_are_as_before(monkeypatch: pytest.MonkeyPatch, users: str | None) -> None:
    logging = pytest.importorskip("cv2.utils.logging")
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    monkeypatch.delenv(LEVEL, raising=False)
    if users is not None:
        monkeypatch.setenv(LEVEL, users)
    before = logging.getLogLevel()
    with quiet_opencv():
        assert os.environ[LEVEL] == (users or "-8")
        assert logging.getLogLevel() == logging.LOG_LEVEL_SILENT
    assert os.environ.get(LEVEL) == users
    assert logging.getLogLevel() == before


def test_what_the_user_wants_to_read_is_left_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    logging = pytest.importorskip("cv2.utils.logging")
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "INFO")
    before = logging.getLogLevel()
    with quiet_opencv():
        assert logging.getLogLevel() == before
