"""What a detector finds in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_edge.core.frame import FloatArray, IntArray


@dataclass(frozen=True)
class Detections:
    """The objects found in one frame, best first.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in the frame's pixels.
        scores: (N,) float32 in 0..1, not increasing.
        class_ids: (N,) int64; 0 is the first real class (background is not counted).
    """

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_unit_boxes(
        cls, boxes: FloatArray, scores: FloatArray, class_ids: FloatArray | IntArray, *, width: int, height: int
    ) -> Detections:
        """Scale (N, 4) boxes in 0..1 of the picture to its pixels; scores must already be sorted, best first."""
        scale = np.array([width, height, width, height], dtype=np.float32)
        return cls(
            boxes=(boxes * scale).astype(np.float32),
            scores=scores.astype(np.float32),
            class_ids=class_ids.astype(np.int64),
        )

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def above(self, threshold: float) -> Detections:
        """Return those that score more than ``threshold`` (strictly, as BatchedNMS compares)."""
        count = int(np.count_nonzero(self.scores > threshold))
        return Detections(self.boxes[:count], self.scores[:count], self.class_ids[:count])
