"""The one definition of what happens to an image before the graph: it is stretched to the input size, no more."""

from __future__ import annotations

import cv2
import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.spec import InputSpec


def preprocess(image: UInt8Array, spec: InputSpec, out: UInt8Array | None = None) -> UInt8Array:
    """Stretch an (H, W, 3) BGR image to (spec.height, spec.width, 3), bilinear with half-pixel centers.

    Color order, mean, std and layout are inside the graph. ``out``, where given, receives the pixels.
    """
    if image.shape[:2] == (spec.height, spec.width):
        if out is None:
            return image
        np.copyto(out, image)
        return out
    resized = cv2.resize(image, (spec.width, spec.height), dst=out, interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
