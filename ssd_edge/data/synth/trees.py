"""Trees for the roadside, drawn as sign faces are."""

from __future__ import annotations

import numpy as np

from ssd_edge.data.synth.face_canvas import Color, FaceCanvas

TREE_VARIANTS = 6


def draw_tree(canvas: FaceCanvas, variant: int) -> None:
    """Draw a tree that stands on the face's lower edge: a trunk and a crown of leaf clusters, lit from above."""
    rng = np.random.default_rng(variant)
    canvas.stroke(np.array([(0, 1.0), (0.02, 0.2)]), (38, 52, 66), thickness=0.12)
    base = np.array([44, 96, 66]) * rng.uniform(0.7, 1.2) + rng.normal(0, 6, 3)
    for light, spread, radius, count in ((0.6, 0.58, 0.26, 26), (0.8, 0.52, 0.2, 30), (1.0, 0.44, 0.14, 34)):
        for _ in range(count):
            angle, distance = rng.uniform(0, 2 * np.pi), spread * np.sqrt(rng.random())
            centre = (distance * np.cos(angle), -0.3 - (light - 0.6) * 0.3 + 0.9 * distance * np.sin(angle))
            color = np.clip(base * light * rng.uniform(0.9, 1.1), 0, 255)
            canvas.disc(radius * rng.uniform(0.7, 1.0), _whole(color), centre)


def _whole(color: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Color:
    blue, green, red = (int(value) for value in color)
    return blue, green, red
