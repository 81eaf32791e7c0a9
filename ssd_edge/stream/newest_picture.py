"""The newest picture of a run, for those who look now and then."""

from __future__ import annotations

import threading

import cv2

from ssd_edge.core.frame import UInt8Array

_QUALITY = 80


class NewestPicture:
    """The newest picture, and its JPEG once someone has wanted that; for any number of threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._picture: UInt8Array | None = None
        self._number = 0
        self._jpeg = (0, b"")
        self._ended = False

    def put(self, picture: UInt8Array) -> None:
        """Make this (H, W, 3) BGR the newest; it must not be changed any more."""
        with self._changed:
            self._picture, self._number = picture, self._number + 1
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Wait for a picture later than ``number``; return its number and JPEG, or None where none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._number > number)
            found, picture = self._number, self._picture
            if self._ended or picture is None:
                return None
        with self._encoding:
            if self._jpeg[0] < found:
                data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
                self._jpeg = found, data.tobytes()
            return self._jpeg
