"""Networks with random weights that nevertheless see different things in different images."""

from __future__ import annotations

import numpy as np
import torch

from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.zoo import build_model, make_spec


def pictures(count: int, side: int = 96, seed: int = 3) -> list[np.ndarray]:
    """Colored rectangles on noise, BGR."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        image = rng.integers(60, 120, (side, side + 16, 3), dtype=np.uint8)
        for _ in range(5):
            top, left = rng.integers(0, side - 16, 2)
            height, width = rng.integers(12, side // 2, 2)
            image[top : top + height, left : left + width] = rng.integers(0, 256, 3)
        images.append(image)
    return images


def lively_model(preset: str, classes: int = 3, *, contrast: float = 4.0, input_size: int | None = None):
    """A network whose batch norms fit its own activations and whose scores spread over 0..1."""
    torch.manual_seed(0)
    names = [f"class {number}" for number in range(classes)]
    model = build_model(make_spec(preset, names, input_size=input_size, name="lively")).train()
    with torch.no_grad():
        if any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.modules()):
            _adapt_batch_norms(model)
        for name, weight in model.head.named_parameters():
            if name.startswith("classification") and weight.dim() > 1:
                weight *= contrast
    return model.eval()


def _adapt_batch_norms(model) -> None:
    entry = model.spec.input
    pixels = np.stack([np.resize(image, (entry.height, entry.width, 3)) for image in pictures(4, entry.height)])
    model(DecodedSSD(model).normalized(torch.from_numpy(pixels)))
