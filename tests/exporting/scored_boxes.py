"""Random boxes and scores that make work for NMS."""

from __future__ import annotations

import numpy as np


def draw_boxes(rng, pictures, count):
    """Clusters of like boxes, on a grid in every second batch, so that equal overlaps and scores occur."""
    centers = rng.random((pictures, 6, 2))[np.arange(pictures)[:, None], rng.integers(0, 6, (pictures, count))]
    centers = centers + rng.normal(0, 0.03, centers.shape)
    sides = 0.1 + 0.1 * rng.random((pictures, count, 2))
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=-1).clip(0, 1)
    return (np.round(boxes * 32) / 32 if rng.random() < 0.5 else boxes).astype(np.float32)


def draw_scores(rng, pictures, shape):
    """Scores of which a random number, up to 3,000, lies above the threshold."""
    flat = shape.score_threshold * rng.random((pictures, shape.boxes * shape.classes))
    for picture in flat:
        above = rng.integers(0, min(3000, picture.size) + 1)
        chosen = rng.choice(picture.size, above, replace=False)
        picture[chosen] = shape.score_threshold + (1 - shape.score_threshold) * rng.random(above)
    scores = flat.reshape(pictures, shape.boxes, shape.classes)
    return (np.round(scores * 50) / 50 if rng.random() < 0.5 else scores).astype(np.float32)
