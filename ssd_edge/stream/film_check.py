"""Did a film reach the disk? OpenCV's writer tells nobody that a write has failed."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from ssd_edge.stream.capture import open_capture

_ROOM_BYTES = 4096  # a block of the usual file systems
_PACKETS = {cv2.CAP_PROP_FORMAT: -1}


def is_whole(film: Path, frames: int) -> bool:
    """Return whether the closed film plays, and none of its frames is lost."""
    return _plays(film) and has_room(film) and _packets(film) >= frames


def has_room(file: Path) -> bool:
    """Return whether the file could grow; it stays as it is.

    A disk that ended within the last frame, which the number of frames does not show, is still full.
    """
    try:
        size = file.stat().st_size if file.exists() else 0
        with file.open("ab") as end:
            end.write(bytes(_ROOM_BYTES))
        os.truncate(file, size)
    except OSError:
        return False
    return True


def _plays(film: Path) -> bool:
    capture = open_capture(str(film), cv2.CAP_FFMPEG)
    if capture is None:
        return False
    plays = bool(capture.grab())
    capture.release()
    return plays


def _packets(film: Path) -> int:
    """Count the encoded frames that can be read; decoding them would take as long again as the run did."""
    capture = open_capture(str(film), cv2.CAP_FFMPEG, _PACKETS)
    count = 0
    if capture is not None:
        while capture.grab():
            count += 1
        capture.release()
    return count
