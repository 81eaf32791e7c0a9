"""Boxes and labels, legible at any size of picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import cv2

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import UInt8Array

Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN_RATIO = 0.618033988749895  # hues that many steps apart around the circle never come close
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw(picture: UInt8Array, detections: Detections, class_names: Sequence[str]) -> None:
    """Draw every box into (H, W, 3) BGR, the best on top, with ``label 87%`` in the colour of its class."""
    line = max(1, round(min(picture.shape[:2]) / 300))
    for place in reversed(range(len(detections))):
        class_id = int(detections.class_ids[place])
        x1, y1, x2, y2 = (round(float(edge)) for edge in detections.boxes[place])
        cv2.rectangle(picture, (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1)), class_colour(class_id), line)
        _draw_label(picture, (x1, y1), f"{class_names[class_id]} {detections.scores[place]:.0%}", class_id, line)


@lru_cache(maxsize=1024)
def class_colour(class_id: int) -> Colour:
    """Return the BGR colour of a class: the same in every run, and far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((class_id * _GOLDEN_RATIO) % 1.0, 0.85, 0.95)
    return round(255 * blue), round(255 * green), round(255 * red)


def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever is easier to read (Rec. 601 luma)."""
    blue, green, red = background
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


def _draw_label(picture: UInt8Array, corner: tuple[int, int], text: str, class_id: int, line: int) -> None:
    """Put the text above the corner; below it, and moved left, where it would leave the picture."""
    text = text.encode(errors="backslashreplace").decode()  # OpenCV takes no text that is no UTF-8
    height, width = picture.shape[:2]
    scale, pad = max(0.4, min(height, width) / 900), 2 * line
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, line)
    box_width, box_height = text_width + 2 * pad, text_height + baseline + pad
    left = max(0, min(corner[0], width - box_width))
    top = corner[1] - box_height if corner[1] >= box_height else corner[1]
    top = max(0, min(top, height - box_height))
    colour = class_colour(class_id)
    cv2.rectangle(picture, (left, top), (left + box_width, top + box_height), colour, cv2.FILLED)
    origin = (left + pad, top + text_height + pad // 2 + baseline // 2)
    cv2.putText(picture, text, origin, _FONT, scale, text_colour(colour), line, cv2.LINE_AA)
