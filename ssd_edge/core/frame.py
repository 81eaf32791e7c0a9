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
        captured_at: when it was captured, in seconds on the clock of ``time.monotonic``: by its own time stamp where a
            camera or stream gives one, otherwise when it was read.
        source: URI or path that the frame came from, without any password.
        time: seconds since the source's first frame, by the frames' own time stamps where they have some: exact for
            videos of a variable rate too.
        original_size: width and height of the frame where ``image`` is a reduced one, as hardware decoders deliver it.
        segment: number of the unbroken sequence that the frame belongs to, from 0: one more each time that the source
            is opened again, or begins again with its first frame.
    """

    image: UInt8Array
    index: int
    captured_at: float
    source: str
    time: float = 0.0
    original_size: tuple[int, int] | None = None
    segment: int = 0

    @property
    def width(self) -> int:
        """Width of the frame in pixels; boxes are in these."""
        return self.original_size[0] if self.original_size else int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height of the frame in pixels."""
        return self.original_size[1] if self.original_size else int(self.image.shape[0])
