"""Plates without a symbol: they look a bit like signs and must not be found."""

from __future__ import annotations

import numpy as np

from ssd_edge.data.synth.face_canvas import Color, FaceCanvas, regular_polygon

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
    """Draw a disc, polygon or plate of one colour, with or without a rim of another."""
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
