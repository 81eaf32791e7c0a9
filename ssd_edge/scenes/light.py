"""Effects of light and lens on a finished scene: shade, color cast, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.scenes.textures import gradient, grain, smooth_noise


@dataclass(frozen=True)
class Exposure:
    """Camera and light of a scene.

    Attributes:
        shade: (H, W, 3) factors.
        offset: added to every level: haze or black point.
        defocus: deviation of the Gaussian blur, in pixels; 0 for none.
        motion: (x, y) pixels that the camera moves while it exposes.
        noise: deviation, in levels.
    """

    shade: FloatArray
    offset: float
    defocus: float
    motion: tuple[float, float]
    noise: float


def random_exposure(height: int, width: int, rng: np.random.Generator) -> Exposure:
    """Return plain daylight more often than not; else dusk, glare, haze, shadow, shake."""
    unit = height / 240
    ramp = gradient(height, width, rng.uniform(0, 360))
    bright = np.exp(rng.normal(0, 0.22))
    shade = bright * (1 + rng.uniform(-0.45, 0.45) * (ramp - 0.5))
    if rng.random() < 0.3:
        shadow = np.clip((smooth_noise(height, width, 2, rng) - 0.5) * 8, 0, 1)
        shade = shade * (1 - rng.uniform(0.15, 0.5) * shadow)
    cast = np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    angle, shake = rng.uniform(0, np.pi), rng.uniform(2, 6) * unit if rng.random() < 0.15 else 0.0
    return Exposure(
        shade=np.asarray(shade[..., None] * cast, np.float32),
        offset=rng.uniform(5, 45) if rng.random() < 0.2 else rng.uniform(-6, 6),
        defocus=rng.uniform(0.4, 1.3) * unit if rng.random() < 0.45 else 0.0,
        motion=(float(np.cos(angle) * shake), float(np.sin(angle) * shake)),
        noise=float(rng.uniform(0.5, 10.0)),
    )


def expose(image: UInt8Array, exposure: Exposure, rng: np.random.Generator) -> UInt8Array:
    """Return the (H, W, 3) image that the camera takes of the scene."""
    if exposure.defocus:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), exposure.defocus), np.uint8)
    if max(np.abs(exposure.motion)) >= 1:
        image = np.asarray(cv2.filter2D(image, -1, _motion_kernel(*exposure.motion)), np.uint8)
    lit = image * exposure.shade
    height, width = image.shape[:2]
    luminance, color = grain(height, width, rng), grain(height, width, rng)
    # Two planes make the noise of three channels: a sensor's color noise is weaker than its luminance noise.
    half = 0.5 * color
    lit += exposure.offset + exposure.noise * np.stack([luminance + half, luminance, luminance - half], axis=-1)
    return np.asarray(np.clip(lit, 0, 255).astype(np.uint8))


def _motion_kernel(across: float, down: float) -> FloatArray:
    side = int(np.ceil(max(abs(across), abs(down)))) | 1
    kernel = np.zeros((side + 2, side + 2), np.float32)
    middle = (side + 1) / 2
    ends = np.array([(middle - across / 2, middle - down / 2), (middle + across / 2, middle + down / 2)])
    cv2.polylines(kernel, [np.rint(ends * 16).astype(np.int32)], False, [1.0], 1, cv2.LINE_8, 4)
    return kernel / max(float(kernel.sum()), 1.0)
