"""One image on its way from a source to the sinks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frame:
    """An image with its place in its source.

    Attributes:
        image: (H, W, 3) uint8, BGR as OpenCV has it.
        index: number of the frame in its source, from 0; gaps are frames that were dropped.
        captured_at: when it was read, in seconds on the clock of ``time.monotonic``.
        source: URI or path that the frame came from, without any password.
        time: seconds since the source's first frame: the place in a video whose rate is known, otherwise as captured.
    """

    image: UInt8Array
    index: int
    captured_at: float
    source: str
    time: float = 0.0

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])
