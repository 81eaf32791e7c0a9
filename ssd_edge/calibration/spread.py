"""The most different of many pictures: k-centre greedy on thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.frame import FloatArray
from ssd_edge.core.images import read_image
from ssd_edge.core.progress import Progress
from ssd_edge.data.sample import BoolArray

_THUMBNAIL = 8


def thumbnails(paths: Sequence[Path], progress: Progress) -> FloatArray:
    """Return (N, 192) colours of 8 x 8 pictures; their reading finds every unreadable file before the work begins."""
    rows = []
    with ThreadPoolExecutor() as pool:
        for done, row in enumerate(pool.map(_thumbnail, paths), start=1):
            rows.append(row)
            progress(done, len(paths), "looking at pictures")
    return np.stack(rows)


def _thumbnail(path: Path) -> FloatArray:
    small = cv2.resize(read_image(path), (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(-1)


def spread(rows: FloatArray, shown: Sequence[frozenset[int]], count: int, first: int) -> list[int]:
    """Return ``count`` rows, each the farthest from those before; classes that were taken least come first."""
    taken = dict.fromkeys(set().union(*shown), 0)
    distance = np.full(len(rows), np.inf)
    free = np.ones(len(rows), bool)
    order: list[int] = []
    number = first
    while True:
        order.append(number)
        free[number] = False
        for label in shown[number]:
            taken[label] += 1
        if len(order) == count:
            return order
        distance = np.minimum(distance, ((rows - rows[number]) ** 2).sum(axis=1))
        wanted = _with_rarest(shown, taken, free)
        number = int(np.argmax(np.where(wanted, distance, -1)))


def _with_rarest(shown: Sequence[frozenset[int]], taken: dict[int, int], free: BoolArray) -> BoolArray:
    """Return which free rows show the class that was taken least; all free ones where there are no classes."""
    for label in sorted(taken, key=lambda entry: (taken[entry], entry)):
        wanted: BoolArray = free & np.array([label in classes for classes in shown])
        if wanted.any():
            return wanted
    return free
