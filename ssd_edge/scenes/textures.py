"""Procedural textures: smooth noise, gradients, grain. All chance comes from the generator that is passed in."""

from __future__ import annotations

import cv2
import numpy as np

from ssd_edge.core.frame import FloatArray

ColorArray = FloatArray  # (3,) BGR in 0..255


def smooth_noise(height: int, width: int, cells: float, rng: np.random.Generator) -> FloatArray:
    """Return (H, W) noise in 0..1 that varies over ``cells`` bumps across the height."""
    rows = max(int(cells), 1) + 3
    cols = max(int(cells * width / height), 1) + 3
    grid = rng.random((rows, cols), dtype=np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))


def cloud_noise(height: int, width: int, cells: float, rng: np.random.Generator) -> FloatArray:
    """Return (H, W) noise of about 0..1 in three octaves."""
    octaves = [(0.57, 1), (0.29, 2), (0.14, 4)]
    layers = [weight * smooth_noise(height, width, cells * factor, rng) for weight, factor in octaves]
    return np.asarray(layers[0] + layers[1] + layers[2])


def grain(height: int, width: int, rng: np.random.Generator) -> FloatArray:
    """Return (H, W) independent Gaussian noise of deviation 1."""
    return rng.standard_normal((height, width), dtype=np.float32)


def gradient(height: int, width: int, degrees: float) -> FloatArray:
    """Return an (H, W) ramp that goes from 0 to 1 in a direction, over the whole image."""
    angle = np.radians(degrees)
    across, down = float(np.cos(angle)), float(np.sin(angle))
    ramp = (
        np.linspace(0, across, width, dtype=np.float32)[None] + np.linspace(0, down, height, dtype=np.float32)[:, None]
    )
    return np.asarray((ramp - min(across, 0.0) - min(down, 0.0)) / (abs(across) + abs(down)), np.float32)


def blend(first: ColorArray, second: ColorArray, weight: FloatArray) -> FloatArray:
    """Return the (H, W, 3) image that goes from ``first`` to ``second`` as the (H, W) weight goes from 0 to 1."""
    return np.asarray(first + (second - first) * weight[..., None], np.float32)


def random_color(rng: np.random.Generator, *, low: float = 20, high: float = 235) -> ColorArray:
    """Return any color, (3,) float32 BGR."""
    return rng.uniform(low, high, 3).astype(np.float32)


def dull_color(rng: np.random.Generator, *, low: float = 30, high: float = 210) -> ColorArray:
    """Return a color of walls, stone and earth: gray with a tint."""
    return np.asarray(np.clip(rng.uniform(low, high) + rng.normal(0, 14, 3), 0, 255), np.float32)
