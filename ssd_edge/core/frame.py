"""One picture on its way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """A picture with its place in time.

    Attributes:
        image: (H, W, 3) uint8, BGR as OpenCV gives it.
        index: number of the frame in its source, from 0; gaps are frames that were dropped.
        captured_at: seconds, on the clock of ``time.monotonic``.
        source: URI or path that the frame came from.
    """

    image: UInt8Array
    index: int
    captured_at: float
    source: str

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])
