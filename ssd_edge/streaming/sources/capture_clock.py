"""When a frame was captured, by its own time stamp; and frames that come twice."""

from __future__ import annotations

import zlib

from ssd_edge.core.frame import UInt8Array

_WINDOW_S = 30.0  # within it a camera's clock may drift by some milliseconds
_FROZEN_S = 10.0
_GRID = 8  # every 8th row and column tells a still image from a live one


class CaptureClock:
    """Puts a source's time stamps on the clock of ``time.monotonic``.

    The frame that was delayed least of all in the last half minute shows how the two clocks differ; what a network or
    a decoder held back longer is that much older. The least delay itself (transport and decoding, some 10 ms on a
    local network) cannot be seen from here.
    """

    def __init__(self) -> None:
        self._offsets: list[tuple[float, float]] = []  # least offset of the window before, and of this one
        self._window_began = 0.0
        self._last: float | None = None

    def restart(self) -> None:
        """Begin anew: the source was opened again, and counts from another time."""
        self._offsets.clear()
        self._last = None

    def captured_at(self, stamp_s: float | None, arrived: float) -> float:
        """Return when a frame was captured.

        Args:
            stamp_s: its time stamp in seconds; None where it has none.
            arrived: when it was decoded, on the clock of ``time.monotonic``.
        """
        if stamp_s is None:
            return arrived
        if self._last is not None and stamp_s < self._last:
            self._offsets.clear()  # it counts from another time
        self._last = stamp_s
        offset = arrived - stamp_s
        if not self._offsets or arrived - self._window_began > _WINDOW_S:
            self._offsets, self._window_began = [*self._offsets[-1:], (offset, arrived)], arrived
        elif offset < self._offsets[-1][0]:
            self._offsets[-1] = (offset, arrived)
        return stamp_s + min(least for least, _ in self._offsets)


class RepeatDetector:
    """Recognizes frames that come twice: with the time stamp of the one before, or byte for byte for ten seconds.

    A drawn or very dark scene is the same byte for byte from its first frame on; only a source whose frames differed
    before, as a camera's noise makes them, counts as frozen.
    """

    def __init__(self) -> None:
        self._stamp: float | None = None
        self._print: int | None = None
        self._same_since: float | None = None
        self._had_noise = False

    def is_stale_stamp(self, stamp_s: float | None) -> bool:
        """Whether a frame has the time stamp of the one before."""
        same = stamp_s is not None and stamp_s == self._stamp
        self._stamp = stamp_s
        return same

    def is_frozen(self, image: UInt8Array, now: float) -> bool:
        """Whether the images have been the same for ten seconds, though they differed before."""
        found = zlib.crc32(image[::_GRID, ::_GRID].tobytes())
        if found != self._print:
            self._had_noise = self._had_noise or self._print is not None
            self._print, self._same_since = found, now
            return False
        return self._had_noise and self._same_since is not None and now - self._same_since >= _FROZEN_S
