"""k-means of box sizes with 1 - IoU for a distance (Redmon and Farhadi, YOLO9000, section 2, "Dimension Clusters")."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

_ROUNDS = 100
_SAMPLE = 20_000  # sizes that clustering looks at; more change the centres by less than a pixel


def size_overlaps(sizes: Float64Array, centres: Float64Array) -> Float64Array:
    """Return the (N, K) IoU of boxes of these (w, h) that share their centre."""
    shared = np.minimum(sizes[:, None], centres[None]).prod(axis=2)
    return np.asarray(shared / (sizes.prod(axis=1)[:, None] + centres.prod(axis=1)[None] - shared))


def cluster_sizes(sizes: Float64Array, count: int, rng: np.random.Generator) -> Float64Array:
    """Return ``count`` (w, h) about which the sizes cluster, smallest area first.

    Begins with k-means++: each first centre is drawn in proportion to the square of its distance from those drawn
    before. A centre moves to the median of its sizes, which holds against the odd label. Where the data has fewer
    different sizes than centres, some centres are equal.

    Args:
        sizes: (N, 2) positive widths and heights; N is 1 or more.
        count: number of centres.
        rng: where all chance comes from.
    """
    if len(sizes) > _SAMPLE:
        sizes = sizes[rng.choice(len(sizes), _SAMPLE, replace=False)]
    centres = _first_centres(sizes, count, rng)
    nearest = np.full(len(sizes), -1)
    for _ in range(_ROUNDS):
        moved = size_overlaps(sizes, centres).argmax(axis=1)
        if (moved == nearest).all():
            break
        nearest = moved
        for number in np.unique(nearest):
            centres[number] = np.median(sizes[nearest == number], axis=0)
    return np.asarray(centres[centres.prod(axis=1).argsort(kind="stable")])


def _first_centres(sizes: Float64Array, count: int, rng: np.random.Generator) -> Float64Array:
    centres = sizes[rng.integers(len(sizes))][None].copy()
    distance = 1 - size_overlaps(sizes, centres)[:, 0]
    for _ in range(count - 1):
        weights = distance**2
        total = weights.sum()
        drawn = rng.choice(len(sizes), p=weights / total) if total > 0 else rng.integers(len(sizes))
        centres = np.concatenate([centres, sizes[drawn][None]])
        distance = np.minimum(distance, 1 - size_overlaps(sizes, sizes[drawn][None])[:, 0])
    return np.asarray(centres)
