"""OpenCV's VideoCapture, opened without its chatter: what it prints, our errors say in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import cv2

from ssd_edge.core.environment import environment
from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.native_lines import lines_dropped

_FFMPEG_QUIET = "-8"  # AV_LOG_QUIET
_CV_SILENT = 0  # LOG_LEVEL_SILENT


def is_built_with(library: str) -> bool:
    """Return whether OpenCV can use a library, called as in its build information: ``FFMPEG``, ``GStreamer``."""
    line = next((text for text in cv2.getBuildInformation().splitlines() if f"{library}:" in text), "")
    return "YES" in line


def require_ffmpeg(shown: str, do: str) -> None:
    """Raise DeviceError where OpenCV has no FFmpeg; ``shown`` names what needs it, and ``do`` says the way without."""
    if not is_built_with("FFMPEG"):
        raise DeviceError(f"{shown} needs FFmpeg", got=f"OpenCV {cv2.__version__}, built without it", do=do)


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that sources use."""

    def get(self, setting: int, /) -> float:
        """Return a property, one of ``cv2.CAP_PROP_…``."""

    def read(self) -> tuple[bool, Any]:
        """Return (True, image), or (False, None) where there is none."""

    def release(self) -> None:
        """Give the file or device back."""


Opener = Callable[[], Capture | None]


def open_capture(
    target: str | int, api: int = cv2.CAP_ANY, settings: Mapping[int, float] | None = None
) -> cv2.VideoCapture | None:
    """Return an open capture, or None where OpenCV cannot open ``target``.

    Args:
        target: file, URL, pipeline or camera number.
        api: one of ``cv2.CAP_…``.
        settings: properties that must be known before opening, by ``cv2.CAP_PROP_…``.
    """
    parameters = [int(value) for pair in (settings or {}).items() for value in pair]
    with quiet_opencv():
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
            f"OpenCV cannot open {shown}",
            got=f"bytes that are not UTF-8 at character {error.start + 1}",
            do="Use a name or address in UTF-8.",
        ) from error


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from writing to stderr inside the block, unless the user's own variables ask for it.

    FFmpeg's level is read once in a process, when the first video is opened.
    """
    with environment(OPENCV_FFMPEG_LOGLEVEL=_FFMPEG_QUIET):
        before = None if "OPENCV_LOG_LEVEL" in os.environ else _exchange_log_level(_CV_SILENT)
        try:
            yield
        finally:
            if before is not None:
                _exchange_log_level(before)


def _exchange_log_level(level: int) -> int:
    """Set OpenCV's log level and return the former: 4.14 has ``cv2.utils.logging`` for it, 4.6 to 4.12 ``cv2``."""
    calls: Any = cv2
    if not hasattr(cv2, "setLogLevel"):
        from cv2.utils import logging

        calls = logging
    before = int(calls.getLogLevel())
    calls.setLogLevel(level)
    return before


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2 inside the block nowhere.

    OpenCV's FFmpeg writer complains with a bare ``fprintf`` about codecs that it then encodes well.
    """
    sys.stderr.flush()
    with lines_dropped(), quiet_opencv():
        yield


def frame_rate(capture: Capture) -> float | None:
    """Return frames a second; None where the container or driver gives none, or one that cannot be."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0.1 <= rate <= 1000 else None


def frame_count(capture: Capture) -> int | None:
    """Return the number of frames that the container announces; None where it is endless or unknown."""
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if 0 < count < 1e9 else None
