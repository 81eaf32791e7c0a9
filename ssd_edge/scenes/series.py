"""Series of drawn images: the same for the same seed, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ssd_edge.scenes.scene import Scene, draw_scene

T = TypeVar("T")

DRAWING_VERSION = 1  # raised whenever the same seed draws other images than before
LARGEST_SPLIT = 1 << 30
_SPLIT_START = {"train": 0, "val": LARGEST_SPLIT, "test": 2 * LARGEST_SPLIT}


def draw_series(
    images: Sequence[tuple[str, int]],
    size: tuple[int, int],
    seed: int,
    finish: Callable[[int, Scene], T],
    *,
    workers: int,
) -> Generator[T, None, None]:
    """Draw images, several at a time, and yield what ``finish`` makes of each, in their order; close it to end early.

    Image n of a split depends on the seed, the split, n and the size only: a larger series begins with the smaller
    one, and the splits share no image.

    Args:
        images: (``train``, ``val`` or ``test``; number in that split).
        size: (width, height).
        seed: of the series, 0 or more.
        finish: called with the image's place in ``images`` and its scene, in the thread that drew it.
        workers: threads.
    """
    width, height = size

    def draw(place: int) -> T:
        split, number = images[place]
        return finish(place, draw_scene(height, width, seed, _SPLIT_START[split] + number))

    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(draw, range(len(images)))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
