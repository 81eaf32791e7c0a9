"""A flat face put into an image: projected, shaded, pasted, and accounted for pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.sample import BoolArray, Corners
from ssd_edge.scenes.canvas import FACE_PX
from ssd_edge.scenes.signs import sign_face

_OPAQUE = 128  # alpha from which a pixel belongs to the sign
_CAMERA_DISTANCE = 3.2  # from the center of a face, in halves of its height: how strong the perspective is


@dataclass(frozen=True)
class Patch:
    """A warped face.

    Attributes:
        pixels: (h, w, 4) BGRA, colors multiplied by alpha.
        left, top: where its corner lies in the image; it may reach over the image's edges.
    """

    pixels: UInt8Array
    left: int
    top: int

    @property
    def mask(self) -> BoolArray:
        """(h, w) bool: the pixels that the face covers at least half."""
        return np.asarray(self.pixels[..., 3] >= _OPAQUE)

    def box(self) -> Corners:
        """Return x1 y1 x2 y2 of the covered pixels: tight, and not yet cut off at the image's edges."""
        x, y, width, height = cv2.boundingRect(self.mask.astype(np.uint8))
        return (self.left + x, self.top + y, self.left + x + width, self.top + y + height)


def posed_quad(
    center: tuple[float, float], height: float, *, yaw: float, pitch: float, roll: float
) -> npt.NDArray[np.float64]:
    """Return the (4, 2) corners of a square face that is turned in space and seen from nearby.

    Args:
        center: x and y in the image.
        height: of the unturned face, in pixels.
        yaw: turn to the side, in degrees.
        pitch: turn forwards.
        roll: turn within the image.
    """
    a, b, c = np.radians([yaw, pitch, roll])
    turn_side = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn_down = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn_in_plane = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float64)
    turned = corners @ (turn_side @ turn_down @ turn_in_plane).T
    projected = turned[:, :2] * (_CAMERA_DISTANCE / (_CAMERA_DISTANCE + turned[:, 2:]))
    return np.asarray(projected * height / 2 + np.array(center))


def warp_face(kind: str, variant: int, quad: npt.NDArray[np.float64], gain: FloatArray) -> Patch:
    """Return the face of a sign as it appears with its corners at ``quad``.

    Args:
        kind: as for ``sign_face``.
        variant: as for ``sign_face``.
        quad: (4, 2) corners in the image, clockwise from the top left.
        gain: (3,) factors of blue, green and red: fading, dirt, tint.
    """
    left, top = np.floor(quad.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(quad.max(axis=0)).astype(int) + 1
    level = _shrunk_face(kind, variant, _level(max(right - left, bottom - top)))
    side = level.shape[0]
    # Pixel centers lie at halves: corner 0 of the face is -0.5 in OpenCV's coordinates.
    source = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32) - 0.5
    target = (quad - (left, top) - 0.5).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    warped = cv2.warpPerspective(level, matrix, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    factors = np.append(gain, 1.0)
    shaded = np.minimum(warped * factors.astype(np.float32), warped[..., 3:]).astype(np.uint8)
    return Patch(shaded, int(left), int(top))


def _level(side: int) -> int:
    """Return how often to halve the face so that it is at most twice its final size."""
    return max(int(np.log2(FACE_PX / max(side, 8))), 0)


@lru_cache(maxsize=512)
def _shrunk_face(kind: str, variant: int, level: int) -> UInt8Array:
    side = FACE_PX >> level
    face = sign_face(kind, variant)
    return face if level == 0 else np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


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
        """Return, by number, the share of each pasted face that is inside the image and not hidden; [0] is 0."""
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
