"""The frames in a window."""

from __future__ import annotations

import cv2

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.stream.display import why_no_window
from ssd_edge.stream.sink import PictureSink
from ssd_edge.stream.stop import StopRequest

_QUIT_KEYS = frozenset({ord("q"), 27})  # 27 is Escape


class WindowSink(PictureSink):
    """Shows each picture; ``q``, Escape or closing the window ends the run.

    Args:
        title: of the window.
        stop: requested by the user's key.

    Raises:
        DeviceError: there is no display, or OpenCV has no windows.
    """

    def __init__(self, title: str, stop: StopRequest) -> None:
        reason = why_no_window()
        if reason is not None:
            raise DeviceError(
                "no window can be shown", got=reason, do="Use --no-window with --output or --json instead."
            )
        self._stop = stop
        self._title = title.encode(errors="backslashreplace").decode()  # OpenCV takes no name that is no UTF-8
        self._shown = False

    def show(self, frame: Frame, picture: UInt8Array) -> None:
        """Show the picture and look at the keyboard."""
        if not self._shown:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(self._title, frame.width, frame.height)
        cv2.imshow(self._title, picture)
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
