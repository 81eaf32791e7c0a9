"""Random views of a labelled picture for training (SSD, section 2.2 "Data augmentation")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.spec import InputSpec
from ssd_edge.data.geometry import Bgr, boxes_in_window, flip_boxes, render, zoom_out
from ssd_edge.data.iou_crop import MIN_SIDE, centres_inside, crop_window
from ssd_edge.data.photometric import distort

Recipe = Literal["ssd", "ssdlite", "none"]
Augmented = tuple[UInt8Array, FloatArray, IntArray]

IMAGENET_MEAN_BGR: Bgr = (104.0, 117.0, 123.0)
_MIN_SIDE_PX = 1.0


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
    """Turns a picture and its boxes into a random view of them, at the size of the network's input.

    Args:
        recipe: ``ssd`` (photometric distortion, zoom-out, IoU crop, flip), ``ssdlite`` (IoU crop, flip) or ``none``
            (resize only: exactly what the detector sees).
        height, width: of the picture that comes out.
        fill: BGR outside the picture after zooming out; the mean of the training pictures.
        horizontal_flip: mirror one view in two. Switch it off where a mirrored object is another class, as with
            signs that point left or right.
        max_zoom_out: the largest canvas, in widths of the picture; one view in two is zoomed out.

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
        """Pixels that a picture's shorter side needs for the smallest crop to fill the input without enlarging.

        None where the picture must stay as it is: ``none`` shows exactly what the detector sees.
        """
        return math.ceil(max(self._height, self._width) / MIN_SIDE) if self._steps.iou_crop else None

    def __call__(
        self, image: UInt8Array, boxes: FloatArray, class_ids: IntArray, rng: np.random.Generator
    ) -> Augmented:
        """Return a view and the objects in it; the same generator state gives the same view.

        Args:
            image: (H, W, 3) uint8 BGR.
            boxes: (N, 4) x1 y1 x2 y2 in the picture's pixels.
            class_ids: (N,).
            rng: where all chance comes from.

        Returns:
            The (height, width, 3) uint8 BGR picture, (M, 4) float32 boxes in its pixels, cut off at its edges, and
            (M,) class ids. An object stays while its centre is in view and its box has a side of 1 pixel or more.
        """
        window = self._window(image, boxes, rng)
        view = self._view(image, window, rng)
        if self._steps.iou_crop:
            inside = centres_inside(boxes, window)
            boxes, class_ids = boxes[inside], class_ids[inside]
        boxes = boxes_in_window(boxes, window, width=self._width, height=self._height)
        if self._flip and rng.random() < 0.5:
            view = np.asarray(cv2.flip(view, 1), np.uint8)
            boxes = flip_boxes(boxes, width=self._width)
        visible = (boxes[:, 2:] - boxes[:, :2] >= _MIN_SIDE_PX).all(axis=1)
        return view, boxes[visible], class_ids[visible]

    def _window(self, image: UInt8Array, boxes: FloatArray, rng: np.random.Generator) -> IntArray:
        window = np.array([0, 0, image.shape[1], image.shape[0]], np.int64)
        if self._steps.zoom_out and rng.random() < 0.5:
            window = zoom_out(window, self._max_zoom_out, rng)
        return crop_window(window, boxes, rng) if self._steps.iou_crop else window

    def _view(self, image: UInt8Array, window: IntArray, rng: np.random.Generator) -> UInt8Array:
        def recolour(pixels: UInt8Array) -> UInt8Array:
            return distort(pixels, rng) if self._steps.photometric else pixels

        return render(image, window, width=self._width, height=self._height, fill=self._fill, recolour=recolour)
