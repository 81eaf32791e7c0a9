"""What the numbers of a foreign graph mean, told by the numbers: softmaxed or not, decoded or not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.frame import FloatArray

Activation = Literal["auto", "softmax", "logits"]

_SUM_TOLERANCE = 1e-3
_MOSTLY = 0.99
_LARGEST_FRACTION = 4.0  # half of all coordinates of boxes in pixels lie beyond it, none in 0..1 do
_SAME_PLACES = 0.8


def is_softmaxed(scores: FloatArray, stated: Activation, path: Path) -> bool:
    """Tell whether the (P, N, L) scores are probabilities over L already.

    By the values and not by the last operator: a softmax over the wrong axis or by level is told apart as well.

    Raises:
        ArtefactError: they contradict what the user stated, or are neither logits nor probabilities.
    """
    in_range = bool((scores >= 0).all() and (scores <= 1).all())
    found = in_range and bool(np.abs(scores.sum(axis=-1) - 1).max() <= _SUM_TOLERANCE)
    if stated == "auto" and in_range and not found:
        raise ArtefactError(
            f"{path} gives scores that are not of an SSD",
            got=f"values in 0..1 whose sum over the classes is {scores.sum(axis=-1).mean():.3g}, as sigmoids give",
            wanted="logits, or a softmax over the classes and background",
            do="If they are logits all the same, say so: --activation logits",
        )
    if stated != "auto" and found != (stated == "softmax"):
        what = "are softmaxed already" if found else "are no softmax over the classes"
        raise ArtefactError(
            f"{path} gives scores that {what}", got=f"--activation {stated}", do="Leave out --activation."
        )
    return found


def refuse_not_decoded(boxes: FloatArray, path: Path) -> None:
    """Raise ArtefactError unless (P, N, 4) values look like x1 y1 x2 y2 in 0..1 of the picture."""
    ordered = float((boxes[..., 2:] >= boxes[..., :2]).all(axis=-1).mean())
    if ordered < _MOSTLY:
        raise ArtefactError(
            f"{path} gives no boxes x1 y1 x2 y2",
            got=f"the second corner is right of and below the first in {ordered:.0%} of them, as in offsets",
            wanted="decoded boxes, or offsets and their default boxes",
            do="Give the default boxes: --anchors priors.npy",
        )
    if float(np.median(np.abs(boxes))) > _LARGEST_FRACTION:
        raise ArtefactError(
            f"{path} gives boxes in pixels",
            got=f"values from {boxes.min():.3g} to {boxes.max():.3g}",
            wanted="0..1 of the picture",
            do="Divide them by the input size before the export.",
        )


def refuse_decoded(offsets: FloatArray, anchors: FloatArray, path: Path) -> None:
    """Raise ArtefactError where (P, N, 4) "offsets" are boxes that lie where the (N, 4) default boxes do."""
    ordered = bool((offsets[..., 2:] > offsets[..., :2]).all())
    if not ordered:
        return
    centres = (offsets[..., :2] + offsets[..., 2:]) / 2
    places = np.broadcast_to(anchors[:, :2], centres.shape)
    if centres.std() > 0 and np.corrcoef(centres.ravel(), places.ravel())[0, 1] > _SAME_PLACES:
        raise ArtefactError(
            f"{path} gives boxes that are decoded already",
            got="boxes x1 y1 x2 y2 that lie at the default boxes",
            wanted="offsets from them",
            do="Leave out --anchors.",
        )
