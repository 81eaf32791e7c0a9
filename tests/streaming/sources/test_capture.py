from __future__ import annotations

import sys

import cv2
import pytest

from ssd_edge.streaming.sources import opencv as capture


def test_an_opencv_of_jetpack_is_silenced_by_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """4.6 to 4.12 have no ``cv2.utils.logging``: importing it ended every camera, film and stream."""
    levels: list[int] = []
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    monkeypatch.setattr(cv2, "setLogLevel", levels.append, raising=False)
    monkeypatch.delattr(cv2.utils, "logging", raising=False)
    monkeypatch.setitem(sys.modules, "cv2.utils.logging", None)
    capture.silence_opencv()
    assert levels == [0]
