"""The random crop of SSD, section 2.2 "Data augmentation": patches that must overlap an object well enough."""

from __future__ import annotations

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.data.sample import BoolArray

WHOLE = -1.0  # option: the entire picture
ANY = 0.0  # option: any patch that holds an object's centre
CROP_OPTIONS = (WHOLE, ANY, 0.1, 0.3, 0.5, 0.7, 0.9)
TRIALS = 50  # patches tried per option, as the authors' BatchSampler does
MIN_SIDE = 0.3  # of a patch, as a share of the window's
_MAX_ASPECT = 2.0


def crop_window(window: IntArray, boxes: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return a random part of ``window``, or ``window`` itself.

    An option is drawn; where it asks for an overlap of m, some object whose centre lies in the patch has
    IoU(object, patch) >= m. Where 50 patches fail, another option is drawn; a picture without objects stays whole.
    """
    for option in rng.permutation(CROP_OPTIONS):
        if option == WHOLE or len(boxes) == 0:
            break
        patches = _random_patches(window, rng)
        valid = patches[_hold_an_object(patches, boxes, float(option))]
        if len(valid):
            return np.asarray(valid[0])
    return window


def centres_inside(boxes: FloatArray, window: IntArray) -> BoolArray:
    """Return (N,) bool: the box's centre lies in the window."""
    return np.asarray(_centres_in(boxes, window[None])[0])


def _random_patches(window: IntArray, rng: np.random.Generator) -> IntArray:
    """(T, 4) whole-pixel patches with sides of 0.3 to 1 of the window's and an aspect of 1/2 to 2 to the window's."""
    sides = window[2:] - window[:2]
    relative = rng.uniform(MIN_SIDE, 1.0, (TRIALS, 2))
    aspect = relative[:, 0] / relative[:, 1]
    relative = relative[(aspect <= _MAX_ASPECT) & (aspect >= 1 / _MAX_ASPECT)]
    size = np.maximum(np.round(relative * sides).astype(np.int64), 1)
    corner = window[:2] + rng.integers(0, sides - size, endpoint=True)
    return np.concatenate([corner, corner + size], axis=1)


def _hold_an_object(patches: IntArray, boxes: FloatArray, min_iou: float) -> BoolArray:
    overlap = iou_matrix(patches.astype(np.float32), boxes)
    return np.asarray((_centres_in(boxes, patches) & (overlap >= min_iou)).any(axis=1))


def _centres_in(boxes: FloatArray, windows: IntArray) -> BoolArray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((centres >= windows[:, None, :2]) & (centres < windows[:, None, 2:])).all(axis=2))
