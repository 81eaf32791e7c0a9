"""The faces of eight kinds of road sign, drawn as vectors and smoothed by supersampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.data.synth.distractors import draw_plain
from ssd_edge.data.synth.face_canvas import Color, FaceCanvas, regular_polygon
from ssd_edge.data.synth.glyphs import text_strokes
from ssd_edge.data.synth.trees import draw_tree

SPEED_LIMIT = "speed_limit"
SPEEDS = ("20", "30", "50", "60", "70", "80", "90", "100", "120")

_RED: Color = (34, 26, 196)
_BLUE: Color = (168, 82, 8)
_WHITE: Color = (244, 246, 246)
_BLACK: Color = (24, 22, 22)
_YELLOW: Color = (18, 186, 250)
_GREY: Color = (120, 120, 122)


def _stop(canvas: FaceCanvas, _variant: int) -> None:
    canvas.polygon(regular_polygon(8, 1.04, 22.5), _WHITE)
    canvas.polygon(regular_polygon(8, 0.96, 22.5), _RED)
    for stroke in text_strokes("STOP", width=1.32, height=0.5, gap=0.19):
        canvas.stroke(stroke, _WHITE, thickness=0.14)


def _yield(canvas: FaceCanvas, _variant: int) -> None:
    outer = np.array([(-0.92, -0.8), (0.92, -0.8), (0, 0.8)])
    canvas.polygon(outer, _RED, rounding=0.1)
    canvas.polygon((outer - (0, -0.27)) * 0.55 + (0, -0.27), _WHITE, rounding=0.04)


def _no_entry(canvas: FaceCanvas, _variant: int) -> None:
    canvas.disc(1.0, _WHITE)
    canvas.disc(0.94, _RED)
    canvas.polygon(np.array([(-0.68, -0.17), (0.68, -0.17), (0.68, 0.17), (-0.68, 0.17)]), _WHITE)


def _speed_limit(canvas: FaceCanvas, variant: int) -> None:
    canvas.disc(1.0, _RED)
    canvas.disc(0.76, _WHITE)
    text = SPEEDS[variant % len(SPEEDS)]
    width, gap = (0.82, 0.24) if len(text) == 2 else (1.06, 0.2)
    for stroke in text_strokes(text, width=width, height=0.66, gap=gap):
        canvas.stroke(stroke, _BLACK, thickness=0.14)


def _crossing(canvas: FaceCanvas, _variant: int) -> None:
    square = np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    canvas.polygon(square, _WHITE, rounding=0.1)
    canvas.polygon(square, _BLUE, rounding=0.04)
    canvas.polygon(np.array([(0, -0.74), (0.84, 0.72), (-0.84, 0.72)]), _WHITE)
    canvas.disc(0.115, _BLACK, (0.02, -0.26))
    limbs = [[(0.0, -0.08), (0.0, 0.24)], [(0.0, 0.24), (0.14, 0.42), (0.2, 0.62)], [(0.0, 0.24), (-0.22, 0.6)]]
    arms = [[(0.0, -0.04), (0.2, 0.1), (0.3, 0.06)], [(0.0, -0.04), (-0.18, 0.16)]]
    for limb in (*limbs, *arms):
        canvas.stroke(np.array(limb), _BLACK, thickness=0.11)


def _turn(canvas: FaceCanvas, side: int) -> None:
    canvas.disc(1.0, _WHITE)
    canvas.disc(0.94, _BLUE)
    mirror = np.array([side, 1])
    canvas.stroke(np.array([(-0.28, 0.58), (-0.28, -0.1), (0.16, -0.1)]) * mirror, _WHITE, thickness=0.24)
    canvas.polygon(np.array([(0.14, -0.48), (0.66, -0.1), (0.14, 0.28)]) * mirror, _WHITE)


def _turn_left(canvas: FaceCanvas, _variant: int) -> None:
    _turn(canvas, -1)


def _turn_right(canvas: FaceCanvas, _variant: int) -> None:
    _turn(canvas, 1)


def _priority(canvas: FaceCanvas, _variant: int) -> None:
    canvas.polygon(regular_polygon(4, 0.94), _BLACK, rounding=0.09)
    canvas.polygon(regular_polygon(4, 0.92), _WHITE, rounding=0.06)
    canvas.polygon(regular_polygon(4, 0.64), _YELLOW, rounding=0.02)


_DRAWN: dict[str, Callable[[FaceCanvas, int], None]] = {
    "stop": _stop,
    "yield": _yield,
    "no_entry": _no_entry,
    SPEED_LIMIT: _speed_limit,
    "crossing": _crossing,
    "turn_left": _turn_left,
    "turn_right": _turn_right,
    "priority": _priority,
}
SIGN_KINDS = tuple(_DRAWN)
PLAIN = "plain"
TREE = "tree"
_FACES = {**_DRAWN, PLAIN: draw_plain, TREE: draw_tree}


@lru_cache(maxsize=128)
def sign_face(kind: str, variant: int = 0) -> UInt8Array:
    """Return the sign's (256, 256, 4) BGRA face, colours multiplied by alpha; not to be written to.

    Args:
        kind: one of ``SIGN_KINDS``, or ``PLAIN`` or ``TREE``, which are no signs.
        variant: chooses the speed of a speed limit, the plain plate or the tree; other signs have one form.
    """
    canvas = FaceCanvas()
    _FACES[kind](canvas, variant)
    face = canvas.face()
    face.flags.writeable = False
    return face
