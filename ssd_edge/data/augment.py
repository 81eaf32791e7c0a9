"""Random views of a labelled image for training (SSD, section 2.2 "Data augmentation")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.sample import UNKNOWN_CLASS, BoolArray
from ssd_edge.core.spec import InputSpec
from ssd_edge.data.geometry import Bgr, boxes_in_window, flip_boxes, render, zoom_out

WHOLE = -1.0  # option: the entire image
ANY = 0.0  # option: any patch that holds an object's center
CROP_OPTIONS = (WHOLE, ANY, 0.1, 0.3, 0.5, 0.7, 0.9)
TRIALS = 50  # patches tried per option, as the authors' BatchSampler does
MIN_PATCH_SIDE = 0.3  # as a share of the window's
_MAX_ASPECT = 2.0
_MIN_BOX_SIDE_PX = 1.0  # what is cut down to less is no object any more
IMAGENET_MEAN_BGR: Bgr = (104.0, 117.0, 123.0)
_LEVELS = np.arange(256, dtype=np.float32)
_MAX_BRIGHTNESS, _MAX_HUE_DEGREES = 32.0, 18.0
_MIN_FACTOR, _MAX_FACTOR = 0.5, 1.5
_HUE_STEPS = 180  # OpenCV's 8-bit hue: 2 degrees a step

Recipe = Literal["ssd", "ssdlite", "none"]
Augmented = tuple[UInt8Array, FloatArray, IntArray]


def crop_window(window: IntArray, boxes: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return a random part of ``window``, or ``window`` itself.

    An option is drawn; where it asks for an overlap of m, some object whose center lies in the patch has
    IoU(object, patch) >= m. Where 50 patches fail, another option is drawn; an image without objects stays whole.
    """
    for option in rng.permutation(CROP_OPTIONS):
        if option == WHOLE or len(boxes) == 0:
            break
        patches = _random_patches(window, rng)
        valid = patches[_hold_an_object(patches, boxes, float(option))]
        if len(valid):
            return np.asarray(valid[0])
    return window


def centers_inside(boxes: FloatArray, window: IntArray) -> BoolArray:
    """Return (N,) bool: the box's center lies in the window."""
    return np.asarray(_centres_in(boxes, window[None])[0])


def _random_patches(window: IntArray, rng: np.random.Generator) -> IntArray:
    """(T, 4) whole-pixel patches with sides of 0.3 to 1 of the window's and an aspect of 1/2 to 2 to the window's."""
    sides = window[2:] - window[:2]
    relative = rng.uniform(MIN_PATCH_SIDE, 1.0, (TRIALS, 2))
    aspect = relative[:, 0] / relative[:, 1]
    relative = relative[(aspect <= _MAX_ASPECT) & (aspect >= 1 / _MAX_ASPECT)]
    size = np.maximum(np.round(relative * sides).astype(np.int64), 1)
    corner = window[:2] + rng.integers(0, sides - size, endpoint=True)
    return np.concatenate([corner, corner + size], axis=1)


def _hold_an_object(patches: IntArray, boxes: FloatArray, min_iou: float) -> BoolArray:
    overlap = iou_matrix(patches.astype(np.float32), boxes)
    return np.asarray((_centres_in(boxes, patches) & (overlap >= min_iou)).any(axis=1))


def _centres_in(boxes: FloatArray, windows: IntArray) -> BoolArray:
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((centers >= windows[:, None, :2]) & (centers < windows[:, None, 2:])).all(axis=2))


def distort(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Return the image under other light; contrast comes before or after the colors, as the coin falls."""
    brighten, contrast, saturate, turn_hue, contrast_first = rng.random(5) < 0.5
    brightness = rng.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS) if brighten else 0.0
    factor = rng.uniform(_MIN_FACTOR, _MAX_FACTOR) if contrast else 1.0
    saturation = rng.uniform(_MIN_FACTOR, _MAX_FACTOR) if saturate else 1.0
    hue = rng.uniform(-_MAX_HUE_DEGREES, _MAX_HUE_DEGREES) if turn_hue else 0.0
    early, late = (factor, 1.0) if contrast_first else (1.0, factor)
    image = _relit(image, brightness, early)
    image = _recoloured(image, saturation, hue)
    return _relit(image, 0.0, late)


def _relit(image: UInt8Array, brightness: float, contrast: float) -> UInt8Array:
    if brightness == 0.0 and contrast == 1.0:
        return image
    brightened = np.clip(_LEVELS + brightness, 0, 255)
    table = np.clip(np.rint(brightened * contrast), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _recoloured(image: UInt8Array, saturation: float, hue_degrees: float) -> UInt8Array:
    if saturation == 1.0 and hue_degrees == 0.0:
        return image
    hues = (_LEVELS + round(hue_degrees / 360 * _HUE_STEPS)) % _HUE_STEPS
    table = np.stack([hues, np.clip(np.rint(_LEVELS * saturation), 0, 255), _LEVELS], axis=-1)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table.astype(np.uint8)[None]), cv2.COLOR_HSV2BGR), np.uint8)


@dataclass(frozen=True)
class _Steps:
    photometric: bool
    zoom_out: bool
    iou_crop: bool
    flip: bool


_RECIPES: dict[str, _Steps] = {
    "ssd": _Steps(photometric=True, zoom_out=True, iou_crop=True, flip=True),
    "ssdlite": _Steps(photometric=False, zoom_out=False, iou_crop=True, flip=True),
    "none": _Steps(photometric=False, zoom_out=False, iou_crop=False, flip=False),
}
RECIPES = tuple(_RECIPES)


class Augment:
    """Turns an image and its boxes into a random view of them, at the size of the network's input.

    Args:
        recipe: ``ssd`` (photometric distortion, zoom-out, IoU crop, flip), ``ssdlite`` (IoU crop, flip) or ``none``
            (resize only: exactly what the detector sees).
        height, width: of the image that comes out.
        fill: BGR outside the image after zooming out; the mean of the training images.
        horizontal_flip: mirror one view in two. Switch it off where a mirrored object is another class, as with
            signs that point left or right.
        max_zoom_out: the largest canvas, in widths of the image; one view in two is zoomed out.

    Raises:
        InputError: there is no such recipe.
    """

    def __init__(
        self,
        recipe: str,
        *,
        height: int,
        width: int,
        fill: Bgr = IMAGENET_MEAN_BGR,
        horizontal_flip: bool = True,
        max_zoom_out: float = 4.0,
    ) -> None:
        if recipe not in _RECIPES:
            raise InputError(f"augmentation recipe {recipe!r} is unknown", wanted=", ".join(RECIPES))
        self._steps = _RECIPES[recipe]
        self._height, self._width, self._fill = height, width, fill
        self._flip = horizontal_flip and self._steps.flip
        self._max_zoom_out = max_zoom_out

    @classmethod
    def for_input(cls, recipe: str, spec: InputSpec, *, horizontal_flip: bool = True) -> Augment:
        """Return the recipe for a network's input: its size, and its mean as the fill."""
        first, second, third = spec.mean
        fill = (first, second, third) if spec.color_order == "bgr" else (third, second, first)
        return cls(recipe, height=spec.height, width=spec.width, fill=fill, horizontal_flip=horizontal_flip)

    @property
    def least_side(self) -> int | None:
        """Pixels that an image's shorter side needs for the smallest crop to fill the input without enlarging.

        None where the image must stay as it is: ``none`` shows exactly what the detector sees.
        """
        return math.ceil(max(self._height, self._width) / MIN_PATCH_SIDE) if self._steps.iou_crop else None

    def __call__(
        self, image: UInt8Array, boxes: FloatArray, class_ids: IntArray, rng: np.random.Generator
    ) -> Augmented:
        """Return a view and the objects in it; the same generator state gives the same view.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) x1 y1 x2 y2 in the image's pixels.
            class_ids: (N,); ``UNKNOWN_CLASS`` for objects that are not learned, which no crop is chosen for.
            rng: where all chance comes from.

        Returns:
            The (height, width, 3) uint8 BGR image, (M, 4) float32 boxes in its pixels, cut off at its edges, and
            (M,) class ids. An object stays while its center is in view and its box has a side of 1 pixel or more.
        """
        window = self._window(image, boxes[class_ids != UNKNOWN_CLASS], rng)
        view = self._view(image, window, rng)
        if self._steps.iou_crop:
            inside = centers_inside(boxes, window)
            boxes, class_ids = boxes[inside], class_ids[inside]
        boxes = boxes_in_window(boxes, window, width=self._width, height=self._height)
        if self._flip and rng.random() < 0.5:
            view = np.asarray(cv2.flip(view, 1), np.uint8)
            boxes = flip_boxes(boxes, width=self._width)
        visible = (boxes[:, 2:] - boxes[:, :2] >= _MIN_BOX_SIDE_PX).all(axis=1)
        ignored = class_ids == UNKNOWN_CLASS  # their place stays, however small: it is not to become background
        boxes[ignored, 2:] = np.maximum(boxes[ignored, 2:], boxes[ignored, :2] + _MIN_BOX_SIDE_PX)
        return view, boxes[visible | ignored], class_ids[visible | ignored]

    def _window(self, image: UInt8Array, boxes: FloatArray, rng: np.random.Generator) -> IntArray:
        window = np.array([0, 0, image.shape[1], image.shape[0]], np.int64)
        if self._steps.zoom_out and rng.random() < 0.5:
            window = zoom_out(window, self._max_zoom_out, rng)
        return crop_window(window, boxes, rng) if self._steps.iou_crop else window

    def _view(self, image: UInt8Array, window: IntArray, rng: np.random.Generator) -> UInt8Array:
        def recolour(pixels: UInt8Array) -> UInt8Array:
            return distort(pixels, rng) if self._steps.photometric else pixels

        return render(image, window, width=self._width, height=self._height, fill=self._fill, recolour=recolour)
