"""Reader of an open live source, on its own thread, which may hang."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import as_bgr
from ssd_edge.core.interruptible import leave_behind
from ssd_edge.streaming.sources.opencv import Capture, frame_count, frame_rate
from ssd_edge.streaming.states import StreamError, StreamReason

_BURST = 8  # frames that a network hands out together; whoever takes them is quick
_POLITE_S = 0.3  # to wait for a thread that is asked to end


@dataclass(frozen=True, eq=False)
class StampedImage:
    """A decoded image.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        stamp_s: its own time stamp in seconds, from any start; None where the source gives none.
        original_size: width and height of the frame where ``image`` is a reduced one.
    """

    image: UInt8Array
    stamp_s: float | None = None
    original_size: tuple[int, int] | None = None


Taken = tuple[StampedImage, float, int]
"""A frame, when it was decoded on the clock of ``time.monotonic``, and its number of this opening, from 1."""


class Reader(ABC):
    """An open camera or stream; used on one thread.

    Attributes:
        fps: frames a second, where the source says so.
        frames: how many there are; None where it has no end.
        size: width and height, where the source says so before its first frame.
    """

    fps: float | None = None
    frames: int | None = None
    size: tuple[int, int] | None = None

    @abstractmethod
    def read(self) -> StampedImage:
        """Return the next frame.

        Raises:
            StreamError: none comes.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the device or connection back."""


class CaptureReader(Reader):
    """A ``cv2.VideoCapture``, or what looks like one.

    Args:
        capture: open.
        shown: the source's name.
        has_stamps: whether its ``CAP_PROP_POS_MSEC`` is a time stamp of the frame.
    """

    def __init__(self, capture: Capture, shown: str, *, has_stamps: bool = False) -> None:
        self._capture, self._shown, self._has_stamps = capture, shown, has_stamps
        self.fps, self.frames = frame_rate(capture), frame_count(capture)
        size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self.size = size if min(size) > 0 else None

    def read(self) -> StampedImage:
        """Return the next frame."""
        read, image = self._capture.read()
        if not read or image is None:
            raise StreamError(StreamReason.END, "no further frame")
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._has_stamps else 0.0
        return StampedImage(np.asarray(as_bgr(image, origin=self._shown), np.uint8), stamp if stamp > 0 else None)

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


class ReadingThread:
    """Opens a reader and reads it on a thread of its own; the newest frames lie ready until they are taken.

    Nothing waits for the thread for long: one that FFmpeg, a driver or the name service does not let go is left behind,
    ends when that call does, and then gives its connection back.

    Args:
        opener: opens the reader.
        name: of the thread.
    """

    def __init__(self, opener: Callable[[], Reader], name: str) -> None:
        self._opener = opener
        self._changed = threading.Condition()
        self._newest: deque[tuple[StampedImage, float, int]] = deque(maxlen=_BURST)
        self.fault: StreamError | None = None
        self._wanted, self._woken_at = True, float("inf")
        self.opened_at: float | None = None
        self.fps: float | None = None
        self.frames: int | None = None
        self.read = 0
        """Frames that were decoded so far."""
        self._thread = threading.Thread(target=self._work, name=f"ssd-edge-read {name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has failed or was ended."""
        return self.fault is not None or not self._wanted

    @property
    def is_alive(self) -> bool:
        """Whether it still works, or hangs."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Wait until something happens, or so long."""
        with self._changed:
            if not self.is_over and self.opened_at is None:
                self._changed.wait(timeout_s)

    def take(self, timeout_s: float) -> Taken | None:
        """Return the next of the newest frames; None where none came in time.

        Raises:
            StreamError: the source failed, and no frame is left.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self.fault or not self._wanted, timeout_s)
            if self._newest:
                return self._newest.popleft()
            if self.fault is not None:
                raise self.fault
            return None

    def wake(self) -> None:
        """End a wait in :meth:`take`, now and without end."""
        with self._changed:
            self._woken_at = min(self._woken_at, time.monotonic())
            self._wanted = False
            self._changed.notify_all()

    def end(self) -> None:
        """Have the thread end, and wait for it until a moment after it was first asked to."""
        self.wake()
        self._thread.join(max(0.0, self._woken_at + _POLITE_S - time.monotonic()))
        if self._thread.is_alive():
            leave_behind(self._thread)

    def _work(self) -> None:
        reader: Reader | None = None
        try:
            reader = self._opener()
            self.fps, self.frames, self.opened_at = reader.fps, reader.frames, time.monotonic()
            self._note_opened()
            while self._wanted:
                image = reader.read()
                self._put(image, time.monotonic())
        except Exception as error:  # noqa: BLE001 - raised where frames are taken
            self._fail(error)
        finally:
            if reader is not None:
                reader.close()

    def _note_opened(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _put(self, image: StampedImage, arrived: float) -> None:
        with self._changed:
            self.read += 1
            self._newest.append((image, arrived, self.read))
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        # A new one: the traceback of the old holds the decoder, with its threads, until Python's collector comes by.
        reason = error.reason if isinstance(error, StreamError) else StreamReason.ERROR
        fault = StreamError(reason, str(error))
        with self._changed:
            self.fault = fault
            self._changed.notify_all()
