"""Backgrounds of scenes: roads, walls, foliage and plain color."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.scenes.road import random_road, road_view
from ssd_edge.scenes.textures import blend, cloud_noise, dull_color, gradient, grain, random_color, smooth_noise

Drawer = Callable[[int, int, np.random.Generator], UInt8Array]


def draw_background(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    """Return an (H, W, 3) BGR image without any sign."""
    kinds: tuple[tuple[float, Drawer], ...] = (
        (0.5, _road),
        (0.14, _foliage),
        (0.14, _bricks),
        (0.12, _blobs),
        (0.10, _stripes),
    )
    number = rng.choice(len(kinds), p=[share for share, _ in kinds])
    return kinds[int(number)][1](height, width, rng)


def _road(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    world = random_road(height, width, rng)
    horizon = height * rng.uniform(0.35, 0.65)
    center = width * rng.uniform(0.25, 0.75)
    return road_view(
        world, height=height, width=width, horizon=horizon, center=center, distance=float(rng.uniform(0, 32))
    )


def _foliage(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    dark, light = np.array([20, 46, 26]), np.array([70, 160, 110])
    tint = rng.normal(0, 22, 3)
    coarse = cloud_noise(height, width, rng.uniform(4, 10), rng)
    fine = smooth_noise(height, width, height / rng.uniform(3, 6), rng)
    leaves = np.clip(0.55 * coarse + 0.6 * (fine - 0.25), 0, 1)
    return _finished(blend((dark + tint).astype(np.float32), (light + tint).astype(np.float32), leaves), rng)


def _blobs(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    ramp = gradient(height, width, rng.uniform(0, 360))
    image = blend(random_color(rng), random_color(rng), ramp)
    for _ in range(rng.integers(2, 5)):
        mask = np.clip((cloud_noise(height, width, rng.uniform(1, 4), rng) - 0.5) * rng.uniform(3, 12) + 0.3, 0, 1)
        image += (random_color(rng) - image) * (mask * rng.uniform(0.3, 0.9))[..., None]
    return _finished(image, rng)


def _stripes(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    ramp = gradient(height, width, rng.uniform(0, 360))
    waves = np.sin(ramp * rng.uniform(12, 70) + 1.5 * smooth_noise(height, width, 3, rng))
    weight = np.clip(waves * rng.uniform(0.6, 4) + 0.5, 0, 1).astype(np.float32)
    return _finished(blend(dull_color(rng), random_color(rng), weight), rng)


def _bricks(height: int, width: int, rng: np.random.Generator) -> UInt8Array:
    """A wall of bricks or slabs, each of its own shade, seen at a slant."""
    tall = height * rng.uniform(0.05, 0.14)
    long = tall * rng.uniform(1.2, 3)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slant = np.radians(rng.uniform(-14, 14))
    across, down = x * np.cos(slant) - y * np.sin(slant) + width, x * np.sin(slant) + y * np.cos(slant) + height
    row = np.floor(down / tall)
    shifted = across + (row % 2) * long / 2
    column = np.floor(shifted / long)
    shades = rng.uniform(0.75, 1.12, (128, 128)).astype(np.float32)
    shade = shades[row.astype(np.int64) % 128, column.astype(np.int64) % 128]
    joint = (np.mod(down, tall) < 0.1 * tall) | (np.mod(shifted, long) < 0.1 * tall)
    wall = dull_color(rng, low=70) if rng.random() < 0.6 else np.array([58, 76, 150], np.float32) + rng.normal(0, 14, 3)
    image = np.where(joint[..., None], dull_color(rng, low=90), wall * shade[..., None])
    weathered = 0.75 + 0.5 * cloud_noise(height, width, 4, rng)
    return _finished(image * weathered[..., None], rng)


def _finished(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rng: np.random.Generator) -> UInt8Array:
    height, width = image.shape[:2]
    rough = rng.uniform(1, 9) * grain(height, width, rng)
    return np.asarray(cv2.convertScaleAbs(np.clip(image + rough[..., None], 0, 255)), np.uint8)
