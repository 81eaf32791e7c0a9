"""The faces of eight kinds of road sign, drawn as vectors and smoothed by supersampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.scenes.canvas import Color, FaceCanvas, regular_polygon, text_strokes

PLAIN_VARIANTS = 64

_COLORS: tuple[Color, ...] = (
    (34, 26, 196),
    (168, 82, 8),
    (18, 186, 250),
    (240, 242, 242),
    (84, 130, 40),
    (140, 142, 144),
    (30, 110, 230),
    (40, 38, 36),
)


def draw_plain(canvas: FaceCanvas, variant: int) -> None:
    """Draw a disc, polygon or plate of one color, with or without a rim of another."""
    rng = np.random.default_rng(variant)
    inner, rim = (_COLORS[index] for index in rng.choice(len(_COLORS), 2, replace=False))
    rimmed = rng.random() < 0.5
    if variant % 4 == 0:
        canvas.disc(1.0, rim if rimmed else inner)
        canvas.disc(rng.uniform(0.8, 0.95), inner)
        return
    outlines = {
        1: regular_polygon(3, 1.0, float(rng.choice([-90, 90, 30]))),
        2: np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * [rng.uniform(0.6, 0.95), rng.uniform(0.3, 0.95)],
        3: regular_polygon(int(rng.choice([5, 6, 8])), 0.98, rng.uniform(0, 90)),
    }
    outline = outlines[variant % 4]
    canvas.polygon(outline, rim if rimmed else inner)
    canvas.polygon(outline * 0.86, inner)


TREE_VARIANTS = 6


def draw_tree(canvas: FaceCanvas, variant: int) -> None:
    """Draw a tree that stands on the face's lower edge: a trunk and a crown of leaf clusters, lit from above."""
    rng = np.random.default_rng(variant)
    canvas.stroke(np.array([(0, 1.0), (0.02, 0.2)]), (38, 52, 66), thickness=0.12)
    base = np.array([44, 96, 66]) * rng.uniform(0.7, 1.2) + rng.normal(0, 6, 3)
    for light, spread, radius, count in ((0.6, 0.58, 0.26, 26), (0.8, 0.52, 0.2, 30), (1.0, 0.44, 0.14, 34)):
        for _ in range(count):
            angle, distance = rng.uniform(0, 2 * np.pi), spread * np.sqrt(rng.random())
            center = (distance * np.cos(angle), -0.3 - (light - 0.6) * 0.3 + 0.9 * distance * np.sin(angle))
            color = np.clip(base * light * rng.uniform(0.9, 1.1), 0, 255)
            canvas.disc(radius * rng.uniform(0.7, 1.0), _whole(color), center)


def _whole(color: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Color:
    blue, green, red = (int(value) for value in color)
    return blue, green, red


SPEED_LIMIT = "speed_limit"
SPEEDS = ("20", "30", "50", "60", "70", "80", "90", "100", "120")

_RED: Color = (34, 26, 196)
_BLUE: Color = (168, 82, 8)
_WHITE: Color = (244, 246, 246)
_BLACK: Color = (24, 22, 22)
_YELLOW: Color = (18, 186, 250)


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
    """Return the sign's (256, 256, 4) BGRA face, colors multiplied by alpha; not to be written to.

    Args:
        kind: one of ``SIGN_KINDS``, or ``PLAIN`` or ``TREE``, which are no signs.
        variant: chooses the speed of a speed limit, the plain plate or the tree; other signs have one form.
    """
    canvas = FaceCanvas()
    _FACES[kind](canvas, variant)
    face = canvas.face()
    face.flags.writeable = False
    return face
