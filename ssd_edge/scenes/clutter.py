"""Clutter of scenes: poles of signs, and branches, posts and shapes that hide them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ssd_edge.scenes.canvas import regular_polygon
from ssd_edge.scenes.patch import SceneCanvas, posed_quad, warp_face
from ssd_edge.scenes.signs import PLAIN, PLAIN_VARIANTS
from ssd_edge.scenes.textures import dull_color, random_color

Spot = tuple[float, float]
Occluder = Callable[[SceneCanvas, Spot, float, np.random.Generator], None]


def draw_pole(canvas: SceneCanvas, top: Spot, length: float, thickness: float, rng: np.random.Generator) -> None:
    """Paint a round post downwards from ``top``: dark at its sides, light off its middle."""
    grey = rng.uniform(70, 170)
    lean = rng.uniform(-0.03, 0.03) * length
    foot = (top[0] + lean, top[1] + length)
    for offset, width, shade in ((0.0, 1.0, 0.6), (-0.08, 0.62, 0.9), (-0.12, 0.28, 1.15)):
        shift = (offset * thickness, 0)
        line = np.array([top, foot]) + shift
        canvas.stroke(line, [min(grey * shade, 255)] * 3, max(width * thickness, 1))


def draw_distractor(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Paint a plate without a symbol somewhere."""
    height = canvas.height * np.exp(rng.uniform(np.log(0.07), np.log(0.4)))
    center = (rng.uniform(0, canvas.width), rng.uniform(0, canvas.height))
    angles = {"yaw": rng.uniform(-45, 45), "pitch": rng.uniform(-20, 20), "roll": rng.uniform(-20, 20)}
    gain = (rng.uniform(0.6, 1.05) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    if rng.random() < 0.5:
        draw_pole(canvas, center, canvas.height, 0.07 * height, rng)
    canvas.paste_over(warp_face(PLAIN, int(rng.integers(PLAIN_VARIANTS)), posed_quad(center, height, **angles), gain))


def draw_occluder(canvas: SceneCanvas, spot: Spot, size: float, rng: np.random.Generator) -> None:
    """Paint something of about ``size`` pixels in front of ``spot``."""
    kinds: tuple[Occluder, ...] = (_branch, _post, _shape, _leaves)
    kinds[int(rng.integers(len(kinds)))](canvas, spot, size, rng)


def _leaf_color(rng: np.random.Generator) -> list[float]:
    return [float(value) for value in np.array([36, 92, 60]) * rng.uniform(0.5, 1.5) + rng.normal(0, 8, 3)]


def _branch(canvas: SceneCanvas, spot: Spot, size: float, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * size
    steps = np.linspace(-1.2, 1.2, 8)[:, None]
    line = np.array(spot) + steps * along + rng.normal(0, 0.05 * size, (8, 2))
    canvas.stroke(line, [30, 42, 58], rng.uniform(0.03, 0.08) * size)
    for joint in line:
        _leaf(canvas, joint + rng.normal(0, 0.12 * size, 2), rng.uniform(0.08, 0.2) * size, rng)


def _leaves(canvas: SceneCanvas, spot: Spot, size: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(8, 22))):
        place = np.array(spot) + rng.normal(0, 0.28 * size, 2)
        _leaf(canvas, place, rng.uniform(0.08, 0.24) * size, rng)


def _leaf(
    canvas: SceneCanvas, place: np.ndarray[tuple[int, ...], np.dtype[np.float64]], size: float, rng: np.random.Generator
) -> None:
    turn = rng.uniform(0, np.pi)
    outline = regular_polygon(10, size / 2) * [1.0, 0.45]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    canvas.polygon(outline @ rotation.T + place, _leaf_color(rng))


def _post(canvas: SceneCanvas, spot: Spot, size: float, rng: np.random.Generator) -> None:
    thickness = rng.uniform(0.08, 0.22) * size
    draw_pole(canvas, (spot[0], -thickness), canvas.height + 2 * thickness, thickness, rng)


def _shape(canvas: SceneCanvas, spot: Spot, size: float, rng: np.random.Generator) -> None:
    corners = int(rng.integers(3, 8))
    radii = rng.uniform(0.25, 0.6, (corners, 1)) * size
    outline = regular_polygon(corners, 1.0, rng.uniform(0, 360)) * radii + np.array(spot)
    canvas.polygon(outline, dull_color(rng).tolist() if rng.random() < 0.6 else random_color(rng).tolist())
