"""A USB camera as Linux drives it, in model time: what a driver does with its buffers, after the sources named here.

* OpenCV ``modules/videoio/src/cap_v4l.cpp``: four buffers by default (DEFAULT_V4L_BUFFERS); ``grabFrame`` gives the
  buffer of the last image back (QBUF) and then waits for the next full one (DQBUF).
* Linux ``drivers/media/usb/uvc/uvc_queue.c``, ``uvc_queue_next_buffer``: NULL where no buffer is queued.
* Linux ``drivers/media/usb/uvc/uvc_video.c``, ``uvc_video_decode_start``: without a buffer the payload is dropped, and
  a buffer that comes in the middle of a frame is not filled with its rest.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


class UvcCamera:
    """One frame begins right when the one before ends, as with a camera whose transfer takes its whole interval.

    Args:
        frames: that it produces until it is unplugged.
        reading: of an interval, that a program needs between two images.
    """

    def __init__(self, frames: int, reading: float = 0.2) -> None:
        self._frames, self._reading = frames, reading
        self._buffers, self._now, self._begun = 4, 0.0, 0
        self._returned: list[float] = []  # when each buffer that is out comes back
        self.settings: dict[int, float] = {}
        self.delivered = self.produced = 0

    def set(self, setting: int, value: float) -> bool:
        self.settings[setting] = value
        if setting == cv2.CAP_PROP_BUFFERSIZE:
            self._buffers = int(value)
        return True

    def get(self, setting: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 8.0, cv2.CAP_PROP_FRAME_HEIGHT: 8.0, cv2.CAP_PROP_FPS: 30.0}.get(
            setting, -1.0
        )

    def read(self) -> tuple[bool, Any]:
        """Return the next image: queue the buffer of the last one, and wait for one that was filled from its start."""
        asked = self._now
        while self._begun < self._frames:
            begins = float(self._begun)
            self._begun += 1
            self.produced += 1
            held = 1 if self.delivered and begins < asked else 0  # the image that the program still works on
            if self._buffers - held < 1:
                continue  # the frame began while the kernel had no buffer: its payload is dropped
            self.delivered += 1
            self._now = max(asked, begins + 1) + self._reading
            return True, np.zeros((8, 8, 3), np.uint8)
        return False, None

    def release(self) -> None:
        pass
