"""Anchors fitted to the objects of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.spec import AnchorLevel, AnchorSpec
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps

Float64Array = npt.NDArray[np.float64]

_ROUNDS = 100
_SAMPLE = 20_000  # sizes that clustering looks at; more change the centers by less than a pixel


def size_overlaps(sizes: Float64Array, centers: Float64Array) -> Float64Array:
    """Return the (N, K) IoU of boxes of these (w, h) that share their center."""
    shared = np.minimum(sizes[:, None], centers[None]).prod(axis=2)
    return np.asarray(shared / (sizes.prod(axis=1)[:, None] + centers.prod(axis=1)[None] - shared))


def cluster_sizes(sizes: Float64Array, count: int, rng: np.random.Generator) -> Float64Array:
    """Return ``count`` (w, h) about which the sizes cluster, smallest area first.

    Begins with k-means++: each first center is drawn in proportion to the square of its distance from those drawn
    before. A center moves to the median of its sizes, which holds against the odd label. Where the data has fewer
    different sizes than centers, some centers are equal.

    Args:
        sizes: (N, 2) positive widths and heights; N is 1 or more.
        count: number of centers.
        rng: where all chance comes from.
    """
    if len(sizes) > _SAMPLE:
        sizes = sizes[rng.choice(len(sizes), _SAMPLE, replace=False)]
    centers = _first_centres(sizes, count, rng)
    nearest = np.full(len(sizes), -1)
    for _ in range(_ROUNDS):
        moved = size_overlaps(sizes, centers).argmax(axis=1)
        if (moved == nearest).all():
            break
        nearest = moved
        for number in np.unique(nearest):
            centers[number] = np.median(sizes[nearest == number], axis=0)
    return np.asarray(centers[centers.prod(axis=1).argsort(kind="stable")])


def _first_centres(sizes: Float64Array, count: int, rng: np.random.Generator) -> Float64Array:
    centers = sizes[rng.integers(len(sizes))][None].copy()
    distance = 1 - size_overlaps(sizes, centers)[:, 0]
    for _ in range(count - 1):
        weights = distance**2
        total = weights.sum()
        drawn = rng.choice(len(sizes), p=weights / total) if total > 0 else rng.integers(len(sizes))
        centers = np.concatenate([centers, sizes[drawn][None]])
        distance = np.minimum(distance, 1 - size_overlaps(sizes, sizes[drawn][None])[:, 0])
    return np.asarray(centers)


_RESTARTS = 5
_GAIN = 0.005  # in mean IoU: less is worth no file


@dataclass(frozen=True)
class FittedPriors:
    """Anchors that were fitted, and what they gain.

    Attributes:
        anchors: on the maps of those before.
        fitted_levels: maps, from the finest, whose sizes were fitted; the coarser ones keep theirs.
        before, after: what the anchors reached, and what these reach.
    """

    anchors: AnchorSpec
    fitted_levels: int
    before: AnchorRecall
    after: AnchorRecall

    @property
    def are_better(self) -> bool:
        """Whether more objects can be matched than before, or as many and better: by what training begins with."""
        if self.after.recall != self.before.recall:
            return self.after.recall > self.before.recall
        return self.after.mean_iou > self.before.mean_iou + _GAIN


def fit_priors(
    boxes: FloatArray, anchors: AnchorSpec, *, per_level: Sequence[int] | None = None, seed: int = 0
) -> FittedPriors:
    """Return anchors whose sizes are those about which the objects cluster.

    The clusters go to the maps by size, the smallest to the finest. Objects that are all small would so put small boxes
    on coarse grids, whose cells they never meet: therefore the finest map alone is fitted too, the two finest, and so
    on, each several times from other first centers, the coarser maps keeping their boxes; and the fit that reaches the
    most objects where the boxes really lie is taken, the mean IoU deciding between equals.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 of the objects in 0..1 of the input.
        anchors: the anchors to begin with; their maps stay.
        per_level: number of boxes of a cell of each map; by default as many as it has.
        seed: the same gives the same boxes.

    Raises:
        InputError: there is no object, the anchors lie in an imported graph, or ``per_level`` does not fit the
            maps.
    """
    counts = _counts(anchors, per_level)
    if len(boxes) == 0:
        raise InputError("the data set has no objects to fit anchors to", wanted="labelled images with objects")
    sizes = np.asarray(boxes[:, 2:] - boxes[:, :2], np.float64)
    before = AnchorRecall.of(best_overlaps(boxes, anchors))
    tried = [
        FittedPriors(candidate, levels, before, AnchorRecall.of(best_overlaps(boxes, candidate)))
        for levels, candidate in _candidates(sizes, anchors, counts, seed)
    ]
    return max(tried, key=lambda fit: (fit.after.recall, fit.after.mean_iou))


def _candidates(
    sizes: Float64Array, anchors: AnchorSpec, counts: Sequence[int], seed: int
) -> Iterator[tuple[int, AnchorSpec]]:
    for levels in range(1, len(counts) + 1):
        if any(
            count != len(level.sizes) for count, level in zip(counts[levels:], anchors.levels[levels:], strict=True)
        ):
            continue  # a map that keeps its boxes keeps their number
        for restart in range(_RESTARTS):
            centers = cluster_sizes(sizes, sum(counts[:levels]), np.random.default_rng((seed, levels, restart)))
            yield levels, _with_sizes(anchors, centers, counts[:levels])


def _with_sizes(anchors: AnchorSpec, centers: Float64Array, counts: Sequence[int]) -> AnchorSpec:
    """Return the anchors with the sizes of the first maps replaced, smallest on the finest."""
    parts = np.split(centers, np.cumsum(counts)[:-1])
    fitted = [_with_level_sizes(level, part) for level, part in zip(anchors.levels, parts, strict=False)]
    return dataclasses.replace(anchors, levels=(*fitted, *anchors.levels[len(counts) :]))


def _with_level_sizes(level: AnchorLevel, sizes: Float64Array) -> AnchorLevel:
    return dataclasses.replace(level, sizes=tuple((float(width), float(height)) for width, height in sizes))


def _counts(anchors: AnchorSpec, per_level: Sequence[int] | None) -> tuple[int, ...]:
    if anchors.table is not None:
        raise InputError("the anchors of an imported graph cannot be fitted", wanted="the anchors of a preset")
    counts = tuple(per_level) if per_level is not None else tuple(len(level.sizes) for level in anchors.levels)
    if len(counts) != len(anchors.levels) or min(counts) < 1:
        raise InputError(
            "the numbers of anchors per cell do not match the network's feature maps",
            got=", ".join(map(str, counts)),
            wanted=f"{len(anchors.levels)} numbers of 1 or more",
        )
    return counts
