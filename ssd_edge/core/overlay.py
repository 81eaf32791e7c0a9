"""Boxes and labels drawn into an image, legible at any size."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import cv2

from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array

Color = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN_RATIO = 0.618033988749895  # hues that many steps apart around the circle never come close
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_boxes(image: UInt8Array, boxes: FloatArray, color_ids: IntArray, captions: Sequence[str]) -> None:
    """Draw boxes into an image, the first on top.

    Args:
        image: (H, W, 3) BGR, which is changed.
        boxes: (N, 4) x1 y1 x2 y2 in pixels.
        color_ids: (N,), which choose the colors, as :func:`class_color` does.
        captions: N texts.
    """
    line = max(1, round(min(image.shape[:2]) / 300))
    for place in reversed(range(len(boxes))):
        color_id = int(color_ids[place])
        x1, y1, x2, y2 = (round(float(edge)) for edge in boxes[place])
        cv2.rectangle(image, (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1)), class_color(color_id), line)
        _draw_caption(image, (x1, y1), captions[place], color_id, line)


@lru_cache(maxsize=1024)
def class_color(class_id: int) -> Color:
    """Return the BGR color of a class, or of a tracked object: the same in every run, and far from its neighbors'."""
    red, green, blue = colorsys.hsv_to_rgb((class_id * _GOLDEN_RATIO) % 1.0, 0.85, 0.95)
    return round(255 * blue), round(255 * green), round(255 * red)


def text_color(background: Color) -> Color:
    """Return black or white, whichever is easier to read (Rec. 601 luma)."""
    blue, green, red = background
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


def _draw_caption(image: UInt8Array, corner: tuple[int, int], text: str, color_id: int, line: int) -> None:
    """Put the text above the corner; below it, and moved left, where it would leave the image."""
    text = text.encode(errors="backslashreplace").decode()  # OpenCV takes no text that is not UTF-8
    height, width = image.shape[:2]
    scale, pad = max(0.4, min(height, width) / 900), 2 * line
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, line)
    box_width, box_height = text_width + 2 * pad, text_height + baseline + pad
    left = max(0, min(corner[0], width - box_width))
    top = corner[1] - box_height if corner[1] >= box_height else corner[1]
    top = max(0, min(top, height - box_height))
    color = class_color(color_id)
    cv2.rectangle(image, (left, top), (left + box_width, top + box_height), color, cv2.FILLED)
    origin = (left + pad, top + text_height + pad // 2 + baseline // 2)
    cv2.putText(image, text, origin, _FONT, scale, text_color(color), line, cv2.LINE_AA)
