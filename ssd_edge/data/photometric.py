"""The photometric distortion of SSD: brightness, contrast, saturation and hue, each with probability 1/2.

The ranges are those of the authors' ``distort_param`` (brightness ±32, contrast and saturation 0.5 to 1.5) with the hue
in degrees (±18), as their successors read it.
"""

from __future__ import annotations

import cv2
import numpy as np

from ssd_edge.core.frame import UInt8Array

_LEVELS = np.arange(256, dtype=np.float32)
_MAX_BRIGHTNESS, _MAX_HUE_DEGREES = 32.0, 18.0
_MIN_FACTOR, _MAX_FACTOR = 0.5, 1.5
_HUE_STEPS = 180  # OpenCV's 8-bit hue: 2 degrees a step


def distort(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Return the picture under other light; contrast comes before or after the colours, as the coin falls."""
    brighten, contrast, saturate, turn_hue, contrast_first = rng.random(5) < 0.5
    brightness = rng.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS) if brighten else 0.0
    factor = rng.uniform(_MIN_FACTOR, _MAX_FACTOR) if contrast else 1.0
    saturation = rng.uniform(_MIN_FACTOR, _MAX_FACTOR) if saturate else 1.0
    hue = rng.uniform(-_MAX_HUE_DEGREES, _MAX_HUE_DEGREES) if turn_hue else 0.0
    early, late = (factor, 1.0) if contrast_first else (1.0, factor)
    image = _relit(image, brightness, early)
    image = _recoloured(image, saturation, hue)
    return _relit(image, 0.0, late)


def _relit(image: UInt8Array, brightness: float, contrast: float) -> UInt8Array:
    if brightness == 0.0 and contrast == 1.0:
        return image
    brightened = np.clip(_LEVELS + brightness, 0, 255)
    table = np.clip(np.rint(brightened * contrast), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _recoloured(image: UInt8Array, saturation: float, hue_degrees: float) -> UInt8Array:
    if saturation == 1.0 and hue_degrees == 0.0:
        return image
    hues = (_LEVELS + round(hue_degrees / 360 * _HUE_STEPS)) % _HUE_STEPS
    table = np.stack([hues, np.clip(np.rint(_LEVELS * saturation), 0, 255), _LEVELS], axis=-1)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table.astype(np.uint8)[None]), cv2.COLOR_HSV2BGR), np.uint8)
