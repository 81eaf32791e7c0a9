"""The frames in a window."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sinks.base import ImageSink

_QUIT_KEYS = frozenset({ord("q"), 27})  # 27 is Escape
_PROBE = "import cv2; cv2.namedWindow('ssd-edge'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 15


def why_no_window() -> str | None:
    """Return why OpenCV cannot show a window here; None where it can."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    try:
        probe = subprocess.run(  # noqa: S603 - this very Python, no shell
            [sys.executable, "-c", _PROBE], capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "a display that does not answer"
    if probe.returncode == 0:
        return None
    text = probe.stderr.decode(errors="replace").strip().splitlines()
    return text[0] if text else f"a display that refuses (exit code {probe.returncode})"


class WindowSink(ImageSink):
    """Shows each image; ``q``, Escape or closing the window ends the run.

    Args:
        title: of the window.
        stop: requested by the user's key.

    Raises:
        DeviceError: there is no display, or OpenCV has no windows.
    """

    def __init__(self, title: str, stop: StopRequest) -> None:
        reason = why_no_window()
        if reason is not None:
            raise DeviceError("no window can be shown", got=reason, do="Use --no-window, with --output or --json.")
        self._stop = stop
        self._title = title.encode(errors="backslashreplace").decode()  # OpenCV takes no name that is no UTF-8
        self._shown = False

    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Show the image and look at the keyboard."""
        if not self._shown:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(self._title, frame.width, frame.height)
        cv2.imshow(self._title, drawn)
        key = cv2.waitKey(1) & 0xFF
        closed = self._shown and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        if key in _QUIT_KEYS or closed:
            self._stop.request()
        self._shown = True

    def close(self) -> None:
        """Close the window."""
        if self._shown:
            cv2.destroyAllWindows()
            self._shown = False
