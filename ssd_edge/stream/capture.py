"""OpenCV's VideoCapture, opened without its chatter: what it prints, our errors say in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import cv2

from ssd_edge.core.errors import InputError


class Capture(Protocol):
    """What the sources need of a ``cv2.VideoCapture``."""

    def get(self, setting: int, /) -> float:
        """Return a property, one of ``cv2.CAP_PROP_…``."""

    def read(self) -> tuple[bool, Any]:
        """Return (True, picture), or (False, None) where there is none."""

    def release(self) -> None:
        """Give the file or device back."""


Opener = Callable[[], Capture | None]

_FFMPEG_QUIET = "-8"  # AV_LOG_QUIET
_CV_SILENT = 0  # LOG_LEVEL_SILENT


def open_capture(
    target: str | int, api: int = cv2.CAP_ANY, settings: Mapping[int, float] | None = None
) -> cv2.VideoCapture | None:
    """Return an open capture, or None where OpenCV cannot open ``target``.

    Args:
        target: file, URL, pipeline or camera number.
        api: one of ``cv2.CAP_…``.
        settings: properties that must be known before opening, by ``cv2.CAP_PROP_…``.
    """
    silence_opencv()
    parameters = [int(value) for pair in (settings or {}).items() for value in pair]
    try:
        capture = cv2.VideoCapture(target, api, parameters)
    except cv2.error:
        return None
    return capture if capture.isOpened() else None


def require_utf8(target: str, shown: str) -> None:
    """Raise InputError for a name that is no UTF-8: OpenCV ends the whole process over it."""
    try:
        target.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{shown} has a name that OpenCV cannot take",
            got=f"bytes that are no UTF-8 at character {error.start + 1}",
            do="Rename it.",
        ) from error


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to stderr, unless the user has asked for it by their own variables."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _FFMPEG_QUIET)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        _set_log_level_silent()


def _set_log_level_silent() -> None:
    """Ask OpenCV by the way that it has: 4.14 and later have ``cv2.utils.logging``, 4.6 to 4.12 ``cv2.setLogLevel``."""
    older = getattr(cv2, "setLogLevel", None)
    if older is not None:
        older(_CV_SILENT)
        return
    from cv2.utils import logging

    logging.setLogLevel(logging.LOG_LEVEL_SILENT)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2 inside the block nowhere.

    OpenCV's FFmpeg writer complains with a bare ``fprintf`` about codecs that it then encodes well.
    """
    silence_opencv()
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def frame_rate(capture: Capture) -> float | None:
    """Return frames a second; None where the container or driver gives none, or one that cannot be."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0.1 <= rate <= 1000 else None


def frame_count(capture: Capture) -> int | None:
    """Return the number of frames that the container announces; None where it is endless or unknown."""
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if 0 < count < 1e9 else None
