"""A picture that remembers which of its pixels show which object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import UInt8Array
from ssd_edge.data.synth.patch import Patch

NOBODY = 0


class SceneCanvas:
    """Paints objects over one another, nearest last, and counts what stays visible of each.

    Args:
        background: (H, W, 3) BGR; painted on in place.
    """

    def __init__(self, background: UInt8Array) -> None:
        self.image = background
        self.height, self.width = background.shape[:2]
        self._owner = np.zeros((self.height, self.width), np.uint8)
        self._areas = [0]

    def paste(self, patch: Patch) -> int:
        """Paint a face and return its number, by which ``visible_fraction`` knows it."""
        self._areas.append(int(np.count_nonzero(patch.mask)))
        number = len(self._areas) - 1
        self._paint(patch, number)
        return number

    def paste_over(self, patch: Patch) -> None:
        """Paint a face that is not asked for later; it hides what lies behind."""
        self._paint(patch, NOBODY)

    def polygon(self, points: npt.NDArray[np.float64], color: Sequence[float]) -> None:
        """Paint an opaque polygon; it hides what lies behind."""
        corners = np.rint(points * 16).astype(np.int32)
        cv2.fillPoly(self.image, [corners], [float(value) for value in color], cv2.LINE_AA, 4)
        cv2.fillPoly(self._owner, [corners], [NOBODY], cv2.LINE_8, 4)

    def stroke(self, points: npt.NDArray[np.float64], color: Sequence[float], thickness: float) -> None:
        """Paint an opaque line; it hides what lies behind."""
        corners, width = np.rint(points * 16).astype(np.int32), max(round(thickness), 1)
        cv2.polylines(self.image, [corners], False, [float(value) for value in color], width, cv2.LINE_AA, 4)
        cv2.polylines(self._owner, [corners], False, [NOBODY], width, cv2.LINE_8, 4)

    def visible_fraction(self) -> npt.NDArray[np.float64]:
        """Return, by number, the share of each pasted face that is inside the picture and not hidden; [0] is 0."""
        visible = np.bincount(self._owner.ravel(), minlength=len(self._areas)).astype(np.float64)
        visible[NOBODY] = 0
        return visible / np.maximum(self._areas, 1)

    def _paint(self, patch: Patch, number: int) -> None:
        height, width = patch.pixels.shape[:2]
        x1, y1 = max(patch.left, 0), max(patch.top, 0)
        x2, y2 = min(patch.left + width, self.width), min(patch.top + height, self.height)
        if x1 >= x2 or y1 >= y2:
            return
        seen = (slice(y1 - patch.top, y2 - patch.top), slice(x1 - patch.left, x2 - patch.left))
        pixels, behind = patch.pixels[seen], self.image[y1:y2, x1:x2]
        through = 255 - pixels[..., 3:].astype(np.uint16)
        behind[...] = pixels[..., :3] + (behind * through + 127) // 255
        self._owner[y1:y2, x1:x2][patch.mask[seen]] = number
