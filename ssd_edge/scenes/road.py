"""A road to the horizon: sky, skyline and ground as a camera above the road sees them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.sample import BoolArray
from ssd_edge.scenes.textures import ColorArray, blend, cloud_noise, dull_color, grain

FOCAL = 0.9  # of the camera, in widths of the image
CAMERA_HEIGHT_M = 1.7

_TEXTURE_M = 32  # the ground repeats after that
_HALF_ROAD_M, _DASH_M, _DASH_PERIOD_M = 4.2, 3, 8
_HAZE_M = 70.0
_SKIES = (  # zenith, horizon
    ((214, 150, 84), (236, 214, 188)),
    ((196, 168, 130), (226, 220, 212)),
    ((158, 150, 146), (206, 204, 202)),
    ((150, 96, 74), (120, 170, 238)),
    ((110, 70, 40), (170, 140, 120)),
)
_GROUNDS = ((58, 118, 84), (74, 134, 120), (96, 142, 168), (112, 118, 122), (60, 96, 74))


@dataclass(frozen=True)
class RoadWorld:
    """Appearance of a road, for any number of views.

    Attributes:
        backdrop: (S, P, 3) sky and skyline; its lowest row is the horizon. Wider than a view, so that it can turn.
        ground: (T, T, 3) texture of 32 x 32 metres, across and along; it repeats along the road.
        haze: (3,) BGR of what is far away.
    """

    backdrop: UInt8Array
    ground: UInt8Array
    haze: ColorArray


def random_road(height: int, width: int, rng: np.random.Generator) -> RoadWorld:
    """Return a road for views of ``height`` x ``width``."""
    zenith, haze = (
        np.asarray(np.array(color) + rng.normal(0, 8, 3), np.float32) for color in _SKIES[rng.integers(len(_SKIES))]
    )
    sky_height, sky_width = round(height * 0.8), round(width * 1.5)
    ramp = np.linspace(0, 1, sky_height, dtype=np.float32)[:, None] ** rng.uniform(0.7, 1.6)
    clouds = np.clip((cloud_noise(sky_height, sky_width, 3, rng) - 0.5) * 2.5, 0, 1) * rng.uniform(0, 0.8)
    sky = blend(zenith, haze, np.broadcast_to(ramp, (sky_height, sky_width)))
    sky += (245 - sky) * clouds[..., None]
    backdrop = np.clip(sky, 0, 255).astype(np.uint8)
    _draw_skyline(backdrop, haze, rng)
    return RoadWorld(backdrop, _ground_texture(256 if height < 480 else 512, rng), haze)


def road_view(
    world: RoadWorld, *, height: int, width: int, horizon: float, center: float, distance: float
) -> UInt8Array:
    """Return the (H, W, 3) image of the road from a camera that has driven ``distance`` metres.

    Args:
        world: the road.
        height: of the image.
        width: of the image.
        horizon: y of the vanishing point, in pixels.
        center: x of the vanishing point, in pixels.
        distance: metres driven along the road.
    """
    view = np.empty((height, width, 3), np.uint8)
    edge = int(np.clip(round(horizon), 1, height - 1))
    view[:edge] = _backdrop_view(world.backdrop, edge, width, center)
    rows = np.arange(edge, height, dtype=np.float32)[:, None]
    depth = CAMERA_HEIGHT_M * FOCAL * width / np.maximum(rows - horizon + 0.5, 0.5)
    across = (np.arange(width, dtype=np.float32)[None] - center) * depth / (FOCAL * width)
    ground = _ground_view(world.ground, across, np.mod(depth + distance, _TEXTURE_M))
    clear = np.exp(-depth / _HAZE_M)[..., None]
    view[edge:] = world.haze + (ground - world.haze) * clear
    return view


def _backdrop_view(backdrop: UInt8Array, edge: int, width: int, center: float) -> UInt8Array:
    """The lowest ``edge`` rows of sky and skyline; what is nearer to the zenith than they reach repeats their top."""
    spare = backdrop.shape[1] - width
    left = int(np.clip(round(spare / 2 - (center - width / 2)), 0, spare))
    window = backdrop[max(len(backdrop) - edge, 0) :, left : left + width]
    missing = edge - len(window)
    return np.asarray(np.pad(window, ((missing, 0), (0, 0), (0, 0)), mode="edge") if missing else window, np.uint8)


def _draw_skyline(backdrop: UInt8Array, haze: ColorArray, rng: np.random.Generator) -> None:
    height, width = backdrop.shape[:2]
    for nearness in (0.45, 0.8):
        if rng.random() < 0.4:
            _draw_houses(backdrop, haze, nearness, rng)
        steps = np.linspace(0, width, 40)
        ridge = height - height * 0.18 * nearness * (0.3 + rng.random(40)) * rng.uniform(0.4, 1.2)
        ridge = cv2.resize(ridge.astype(np.float32)[:, None], (1, width), interpolation=cv2.INTER_CUBIC)[:, 0]
        ridge += rng.normal(0, 0.004 * height, width)
        outline = np.stack([np.arange(width), ridge], axis=1)
        polygon = np.concatenate([outline, [[steps[-1], height], [0, height]]])
        color = haze + (np.array([40, 82, 58]) + rng.normal(0, 12, 3) - haze) * nearness
        cv2.fillPoly(backdrop, [np.rint(polygon).astype(np.int32)], [float(value) for value in color], cv2.LINE_AA)


def _draw_houses(backdrop: UInt8Array, haze: ColorArray, nearness: float, rng: np.random.Generator) -> None:
    height, width = backdrop.shape[:2]
    left = 0
    while left < width:
        house_width, tall = (int(height * rng.uniform(low, high)) for low, high in ((0.12, 0.3), (0.1, 0.5)))
        if rng.random() < 0.6:
            color = haze + (dull_color(rng, low=50, high=190) - haze) * nearness
            backdrop[height - tall :, left : left + house_width] = color
            pane = max(height // 40, 2)
            top = height - tall
            for y in range(top + pane, height - pane, 3 * pane):
                for x in range(left + pane, left + house_width - pane, 3 * pane):
                    backdrop[y : y + pane, x : x + pane] = color * rng.uniform(0.45, 1.2, 1).clip(0, 1.1)
        left += house_width + int(height * rng.uniform(0.0, 0.2))


def _ground_view(texture: UInt8Array, across: FloatArray, along: FloatArray) -> UInt8Array:
    """Look up the ground at places in metres: (R, W) from the middle of the road, (R, 1) along it."""
    pixels_per_m = len(texture) / _TEXTURE_M
    map_x = np.clip(across + _TEXTURE_M / 2, -_TEXTURE_M, 2 * _TEXTURE_M) * pixels_per_m
    map_y = np.broadcast_to(along * pixels_per_m, map_x.shape)
    maps = (map_x.astype(np.float32), map_y.astype(np.float32))
    return np.asarray(cv2.remap(texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.uint8)


def _ground_texture(size: int, rng: np.random.Generator) -> UInt8Array:
    side = np.array(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32) + rng.normal(0, 10, 3).astype(np.float32)
    texture = side * (0.7 + 0.6 * cloud_noise(size, size, 12, rng)[..., None])
    metres = (np.arange(size, dtype=np.float32) * (_TEXTURE_M / size) - _TEXTURE_M / 2)[None]
    asphalt = np.float32(rng.uniform(70, 130)) + 16 * cloud_noise(size, size, 10, rng)
    on_road = np.broadcast_to(np.abs(metres) < _HALF_ROAD_M, (size, size))
    texture[on_road] = asphalt[on_road][:, None]
    texture[_lane_marks(metres)] = rng.uniform(195, 240)
    texture += 6 * grain(size, size, rng)[..., None]
    return np.asarray(np.clip(texture, 0, 255).astype(np.uint8))


def _lane_marks(metres: FloatArray) -> BoolArray:
    along = metres.T + _TEXTURE_M / 2
    dashes = (np.abs(metres) < 0.1) & (np.mod(along, _DASH_PERIOD_M) < _DASH_M)
    borders = np.abs(np.abs(metres) - (_HALF_ROAD_M - 0.35)) < 0.1
    return np.asarray(dashes | np.broadcast_to(borders, dashes.shape))
