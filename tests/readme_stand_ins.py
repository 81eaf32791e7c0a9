"""``ssd-edge`` with stand-ins for camera, network stream and screen: ``python -m tests.readme_stand_ins run …``.

Where a camera or a network stream is opened, the video ``SSD_EDGE_STAND_IN`` plays in its place. A window shows into a
list. All else is the real command.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import cv2

from ssd_edge.cli.main import main
from ssd_edge.streaming.sinks import window

capture = cv2.VideoCapture
LIVE = ("rtsp://", "http://", "https://")


class Camera:
    """OpenCV's capture; for a camera or stream one that plays the stand-in without end, 30 frames a second."""

    def __init__(self, target: str | int, *settings: Any) -> None:
        self.live = isinstance(target, int) or target.startswith(LIVE)
        self.capture = capture(os.environ["SSD_EDGE_STAND_IN"]) if self.live else capture(target, *settings)

    def read(self) -> tuple[bool, Any]:
        if not self.live:
            return self.capture.read()
        time.sleep(1 / 30)
        read, image = self.capture.read()
        if read:
            return read, image
        self.capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return self.capture.read()

    def get(self, setting: int, /) -> float:
        if self.live and setting == cv2.CAP_PROP_FRAME_COUNT:
            return -1.0
        return float(self.capture.get(setting))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.capture, name)


def stand_in() -> list[Any]:
    """Put the stand-ins in place; return the list of what a window shows."""
    shown: list[Any] = []
    names: dict[str, Any] = {
        "VideoCapture": Camera,
        "namedWindow": lambda *_: None,
        "resizeWindow": lambda *_: None,
        "imshow": lambda _, image: shown.append(image),
        "waitKey": lambda _: -1,
        "getWindowProperty": lambda *_: 1.0,
        "destroyAllWindows": lambda: None,
    }
    if any(word.startswith(LIVE) for word in sys.argv):
        sys.modules["av"] = None  # type: ignore[assignment]  # so that OpenCV is asked for the stream
    for name, value in names.items():
        setattr(cv2, name, value)
    window.why_no_window = lambda: None
    return shown


if __name__ == "__main__":
    shown = stand_in()
    try:
        main()
    finally:
        if shown:
            sys.stderr.write(f"window: {len(shown)} frames\n")
