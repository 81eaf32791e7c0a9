"""Still scenes: signs before a background, in some light, partly hidden, and the truth about them; one, or a series."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.sample import Corners, LabelledObject
from ssd_edge.scenes.backgrounds import draw_background
from ssd_edge.scenes.clutter import draw_distractor, draw_occluder, draw_pole
from ssd_edge.scenes.light import expose, random_exposure
from ssd_edge.scenes.patch import Patch, SceneCanvas, posed_quad, warp_face
from ssd_edge.scenes.signs import SIGN_KINDS, SPEED_LIMIT, SPEEDS

T = TypeVar("T")

DRAWING_VERSION = 1  # raised whenever the same seed draws other images than before
LARGEST_SPLIT = 1 << 30
_SPLIT_START = {"train": 0, "val": LARGEST_SPLIT, "test": 2 * LARGEST_SPLIT}
MIN_VISIBLE = 0.3  # of a sign's area: what shows less is marked difficult

_MIN_HEIGHT, _MAX_HEIGHT = 0.08, 0.6  # of the image's height
_SIGN_COUNTS = (0.04, 0.28, 0.28, 0.22, 0.12, 0.06)  # probability of 0, 1, 2 … signs
_MAX_OVERLAP = 0.12  # IoU between two signs
_OCCLUDED = 0.22  # probability that something is put before a sign


@dataclass(frozen=True)
class Scene:
    """An image and what is in it.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        objects: the signs; boxes are whole pixels, tight around the sign as it would be seen without what hides it,
            cut off at the image's edges. ``difficult`` where less than ``MIN_VISIBLE`` of the sign shows; a sign of
            which nothing shows is left out.
    """

    image: UInt8Array
    objects: tuple[LabelledObject, ...]


@dataclass(frozen=True)
class _Pose:
    center: tuple[float, float]
    height: float


def draw_scene(height: int, width: int, seed: int, index: int) -> Scene:
    """Return scene ``index`` of the series ``seed``: it depends on nothing else but the size."""
    rng = np.random.default_rng([seed, index])
    canvas = SceneCanvas(draw_background(height, width, rng))
    for _ in range(rng.integers(0, 4)):
        draw_distractor(canvas, rng)
    poses = _place(height, width, int(rng.choice(len(_SIGN_COUNTS), p=_SIGN_COUNTS)), rng)
    signs = [_draw_sign(canvas, pose, rng) for pose in poses]
    for pose in poses:
        if rng.random() < _OCCLUDED:
            offset = rng.normal(0, 0.3 * pose.height, 2)
            draw_occluder(canvas, (pose.center[0] + offset[0], pose.center[1] + offset[1]), 0.6 * pose.height, rng)
    image = expose(canvas.image, random_exposure(height, width, rng), rng)
    return Scene(image, _objects(canvas, signs))


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


def cut_box(box: Corners, *, width: int, height: int) -> Corners:
    """Return the part of the box inside the image; it may be empty."""
    x1, y1, x2, y2 = box
    return (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))


def _objects(canvas: SceneCanvas, signs: list[tuple[str, int, Patch]]) -> tuple[LabelledObject, ...]:
    visible = canvas.visible_fraction()
    boxes = [cut_box(patch.box(), width=canvas.width, height=canvas.height) for _, _, patch in signs]
    return tuple(
        LabelledObject.of_box(kind, box, difficult=bool(visible[number] < MIN_VISIBLE))
        for (kind, number, _), box in zip(signs, boxes, strict=True)
        if visible[number] > 0
    )


def _place(height: int, width: int, count: int, rng: np.random.Generator) -> list[_Pose]:
    """Choose sizes and places, small signs first; a place that overlaps another sign too much is drawn again."""
    sizes = np.sort(height * np.exp(rng.uniform(np.log(_MIN_HEIGHT), np.log(_MAX_HEIGHT), count)))
    poses: list[_Pose] = []
    for size in sizes:
        for _ in range(8):
            margin = 0.2 * size
            x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
            pose = _Pose((x, y), float(size))
            if (
                not poses
                or iou_matrix(_square(pose), np.concatenate([_square(other) for other in poses])).max() <= _MAX_OVERLAP
            ):
                poses.append(pose)
                break
    return poses


def _square(pose: _Pose) -> FloatArray:
    (x, y), half = pose.center, pose.height / 2
    return np.array([[x - half, y - half, x + half, y + half]], np.float32)


def _draw_sign(canvas: SceneCanvas, pose: _Pose, rng: np.random.Generator) -> tuple[str, int, Patch]:
    kind = SIGN_KINDS[int(rng.integers(len(SIGN_KINDS)))]
    angles = {"yaw": rng.uniform(-50, 50), "pitch": rng.uniform(-22, 22), "roll": rng.normal(0, 7)}
    quad = posed_quad(pose.center, pose.height, **angles)
    gain = rng.uniform(0.62, 1.06) * rng.uniform(0.93, 1.07, 3)
    variant = int(rng.integers(len(SPEEDS))) if kind == SPEED_LIMIT else 0
    patch = warp_face(kind, variant, quad, gain.astype(np.float32))
    if rng.random() < 0.6:
        draw_pole(canvas, pose.center, canvas.height, max(0.07 * pose.height, 1.5), rng)
    return kind, canvas.paste(patch), patch
