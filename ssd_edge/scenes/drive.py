"""A drive along a road with signs, seen from any place on it or as a video, and the truth about what is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.sample import LabelledObject
from ssd_edge.scenes.patch import Patch, SceneCanvas, warp_face
from ssd_edge.scenes.road import CAMERA_HEIGHT_M, FOCAL, RoadWorld, random_road, road_view
from ssd_edge.scenes.scene import MIN_VISIBLE, Scene, cut_box
from ssd_edge.scenes.signs import PLAIN, PLAIN_VARIANTS, SIGN_KINDS, SPEED_LIMIT, SPEEDS, TREE, TREE_VARIANTS

FPS = 30.0

_SPACING_M = 4.5  # between one sign and the next
_NEAREST_M = 3.0
_APPEARS_M, _CLEAR_M = 38.0, 26.0  # what stands beyond is lost in the haze; nearer it is clear
_LABEL_FROM = 0.5  # opacity from which a sign counts
_HORIZON = 0.46  # of the image's height
_SWAY_S, _BOUNCE_S = 7.0, 2.3  # periods
_SPEED_M_PER_S = 8.0
_NOISE = 4.0  # deviation, in levels
_NOISE_ROOM = 64  # the noise is one plane, seen at another offset in each frame


@dataclass(frozen=True)
class _Standing:
    """Something flat that stands by the road, facing the traffic.

    Attributes:
        right, up, ahead: place of its center in metres: from the middle of the road, above it, along it.
        size: side of its face in metres.
        yaw: turned to the side, in radians.
    """

    kind: str
    variant: int
    right: float
    up: float
    ahead: float
    size: float
    yaw: float
    gain: FloatArray


class Drive:
    """A road with signs, drawn from the seed alone, of which a camera sees more as it drives.

    Args:
        height, width: of the images.
        length: of the drive, in metres.
        seed: of everything that stands there.
    """

    def __init__(self, height: int, width: int, *, length: float, seed: int) -> None:
        rng = np.random.default_rng([seed, height, width])
        self._height, self._width = height, width
        self._road: RoadWorld = random_road(height, width, rng)
        end = length + _APPEARS_M
        stands = [_sign(number, place, rng) for number, place in enumerate(np.arange(_NEAREST_M, end, _SPACING_M))]
        stands += [_tree(place, rng) for place in np.arange(_NEAREST_M, end, 3.5)]
        self._far_first = sorted(stands, key=lambda stand: -stand.ahead)

    def view(self, distance: float, seconds: float) -> Scene:
        """Return what the camera sees after ``distance`` metres; it sways and bounces as the ``seconds`` pass."""
        center = self._width * (0.5 + 0.035 * float(np.sin(2 * np.pi * seconds / _SWAY_S)))
        horizon = self._height * (_HORIZON + 0.006 * float(np.sin(2 * np.pi * seconds / _BOUNCE_S)))
        ground = road_view(
            self._road, height=self._height, width=self._width, horizon=horizon, center=center, distance=distance
        )
        canvas = SceneCanvas(ground)
        visible = [stand for stand in self._far_first if _NEAREST_M < stand.ahead - distance < _APPEARS_M]
        signs = [found for stand in visible for found in self._draw(canvas, stand, distance, (center, horizon))]
        return Scene(canvas.image, _labelled(canvas, signs))

    def _draw(
        self, canvas: SceneCanvas, stand: _Standing, distance: float, vanishing: tuple[float, float]
    ) -> list[tuple[_Standing, int, Patch, float]]:
        quad = _projected(_corners(stand, distance), vanishing, self._width)
        if (quad.max(axis=0) < 0).any() or quad[:, 0].min() > self._width:
            return []
        depth = stand.ahead - distance
        opacity = float(np.clip((_APPEARS_M - depth) / (_APPEARS_M - _CLEAR_M), 0, 1))
        face = warp_face(stand.kind, stand.variant, quad, stand.gain)
        patch = _hazy(face, opacity, depth, self._road.haze)
        if stand.kind == TREE:
            canvas.paste_over(patch)
            return []
        self._draw_post(canvas, stand, distance, vanishing, opacity)
        return [(stand, canvas.paste(patch), face, opacity)]

    def _draw_post(
        self, canvas: SceneCanvas, stand: _Standing, distance: float, vanishing: tuple[float, float], opacity: float
    ) -> None:
        if opacity < 1:
            return
        depth = stand.ahead - distance
        ends = np.array([(stand.right, stand.up, depth + 0.05), (stand.right, 0.0, depth + 0.05)])
        pixels = _projected(ends, vanishing, self._width)
        thickness = 0.08 * FOCAL * self._width / depth
        canvas.stroke(pixels, (96, 98, 98), thickness)
        canvas.stroke(pixels - (0.15 * thickness, 0), (168, 170, 170), 0.4 * thickness)


def draw_video(frames: int, size: tuple[int, int], seed: int) -> Iterator[tuple[float, Scene]]:
    """Yield the frames of a drive, ``FPS`` a second: the time of each in seconds, and its scene.

    Args:
        frames: 1 or more.
        size: (width, height).
        seed: of the road and everything on it, 0 or more.
    """
    width, height = size
    drive = Drive(height, width, length=frames / FPS * _SPEED_M_PER_S, seed=seed)
    noise = _noise_plane(height, width, seed)
    rng = np.random.default_rng([seed, 1])
    for frame in range(frames):
        seconds = frame / FPS
        scene = drive.view(seconds * _SPEED_M_PER_S, seconds)
        yield seconds, Scene(_noisy(scene.image, noise, rng), scene.objects)


def _sign(number: int, place: float, rng: np.random.Generator) -> _Standing:
    side = -1 if number % 2 else 1
    kind = PLAIN if rng.random() < 0.15 else SIGN_KINDS[int(rng.integers(len(SIGN_KINDS)))]
    variants = {PLAIN: PLAIN_VARIANTS, SPEED_LIMIT: len(SPEEDS)}.get(kind, 1)
    return _Standing(
        kind=kind,
        variant=int(rng.integers(variants)),
        right=side * rng.uniform(4.7, 6.6),
        up=rng.uniform(1.7, 3.1),
        ahead=place + rng.uniform(-0.3, 0.3) * _SPACING_M,
        size=rng.uniform(1.3, 1.8),
        yaw=float(np.radians(rng.uniform(-16, 16))),
        gain=(rng.uniform(0.8, 1.05) * rng.uniform(0.95, 1.05, 3)).astype(np.float32),
    )


def _tree(place: float, rng: np.random.Generator) -> _Standing:
    size = rng.uniform(3.5, 7.5)
    return _Standing(
        kind=TREE,
        variant=int(rng.integers(TREE_VARIANTS)),
        right=rng.choice([-1, 1]) * rng.uniform(9, 22),
        up=size / 2,
        ahead=place + rng.uniform(-1.5, 1.5),
        size=size,
        yaw=0.0,
        gain=(rng.uniform(0.8, 1.1) * np.ones(3)).astype(np.float32),
    )


def _corners(stand: _Standing, distance: float) -> npt.NDArray[np.float64]:
    """(4, 3) corners of the face in metres, clockwise from the top left: right of the road's middle, up, ahead."""
    half = stand.size / 2
    across = np.array([-1, 1, 1, -1]) * half
    return np.stack(
        [
            stand.right + across * np.cos(stand.yaw),
            stand.up + np.array([1, 1, -1, -1]) * half,
            stand.ahead - distance + across * np.sin(stand.yaw),
        ],
        axis=1,
    )


def _projected(points: npt.NDArray[np.float64], vanishing: tuple[float, float], width: int) -> npt.NDArray[np.float64]:
    """(N, 2) pixels of (N, 3) places in metres, by the pinhole camera that also sees the road."""
    scale = FOCAL * width / points[:, 2]
    across, down = points[:, 0] * scale, (CAMERA_HEIGHT_M - points[:, 1]) * scale
    return np.stack([across + vanishing[0], down + vanishing[1]], axis=1)


def _hazy(patch: Patch, opacity: float, depth: float, haze: FloatArray) -> Patch:
    """Take on the haze's color with depth, and let through what lies behind where opacity is below 1."""
    clear = np.float32(np.exp(-depth / 110))
    alpha = patch.pixels[..., 3:].astype(np.float32)
    color = patch.pixels[..., :3] * clear + haze * (alpha * ((1 - clear) / 255))
    pixels = np.concatenate([np.minimum(color, alpha), alpha], axis=-1) * np.float32(opacity)
    return Patch(pixels.astype(np.uint8), patch.left, patch.top)


def _labelled(canvas: SceneCanvas, signs: list[tuple[_Standing, int, Patch, float]]) -> tuple[LabelledObject, ...]:
    share = canvas.visible_fraction()
    objects = []
    for stand, number, face, opacity in signs:
        x1, y1, x2, y2 = box = cut_box(face.box(), width=canvas.width, height=canvas.height)
        faint = opacity < _LABEL_FROM
        if stand.kind != PLAIN and (share[number] > 0 or faint) and x1 < x2 and y1 < y2:
            difficult = faint or bool(share[number] < MIN_VISIBLE)
            objects.append(LabelledObject.of_box(stand.kind, box, difficult))
    return tuple(objects)


def _noise_plane(height: int, width: int, seed: int) -> npt.NDArray[np.int16]:
    shape = (height + _NOISE_ROOM, width + _NOISE_ROOM, 1)
    plane = np.random.default_rng([seed, 2]).standard_normal(shape, dtype=np.float32) * _NOISE
    return np.repeat(np.rint(plane).astype(np.int16), 3, axis=2)


def _noisy(image: UInt8Array, noise: npt.NDArray[np.int16], rng: np.random.Generator) -> UInt8Array:
    top, left = (int(value) for value in rng.integers(0, _NOISE_ROOM, 2))
    window = noise[top : top + image.shape[0], left : left + image.shape[1]]
    return np.asarray(cv2.add(image, window, dtype=cv2.CV_8U), np.uint8)
