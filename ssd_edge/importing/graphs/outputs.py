"""Output semantics of an imported graph: scores, boxes, and the meaning of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.frame import FloatArray
from ssd_edge.importing.graphs.normalization import JETSON_OUTPUTS

Activation = Literal["auto", "softmax", "logits"]

_SUM_TOLERANCE = 1e-3
_MOSTLY = 0.99
_LARGEST_FRACTION = 4.0  # half of all coordinates of boxes in pixels lie beyond it, none in 0..1 do
_SAME_PLACES = 0.8
_BACKGROUND = 0.9
_TF_OUTPUTS = {"detection_boxes", "detection_scores", "detection_classes", "num_detections"}
Shapes = Mapping[str, tuple[int, ...]]
_WANTED = "scores of shape (batch, boxes, classes + 1 for the background) and boxes or offsets (batch, boxes, 4)"
_MANY_BOXES = 50


@dataclass(frozen=True)
class Outputs:
    """Names of the outputs that matter."""

    scores: str
    boxes: str


def choose_outputs(
    shapes: Shapes, model: onnx.ModelProto, path: Path, *, scores: str | None = None, boxes: str | None = None
) -> Outputs:
    """Return the only pair of outputs (1, N, L >= 2) and (1, N, 4), or jetson-inference's by their names.

    Args:
        shapes: of all outputs for one image.
        model: looked at for what it is where there is no such pair.
        path: names the file in errors.
        scores: name of the scores, where the user gave it.
        boxes: name of the boxes, likewise.

    Raises:
        InputError: a given name is not an output, or more than one pair would do.
        ArtifactError: there is no such pair.
    """
    for option, name in (("--scores", scores), ("--boxes", boxes)):
        if name is not None and name not in shapes:
            raise InputError(
                f"{path} has no output {name!r}", got=_listed(shapes), do=f"Choose one of its outputs with {option}."
            )
    pairs = [
        Outputs(first, second)
        for second, shape in shapes.items()
        if len(shape) == 3 and shape[0] == 1 and shape[2] == 4 and boxes in (None, second)
        for first, other in shapes.items()
        if first != second and other[:2] == shape[:2] and len(other) == 3 and other[2] >= 2 and scores in (None, first)
    ]
    if not pairs:
        raise ArtifactError(
            f"{path} does not have the outputs of an SSD without its NMS",
            got=f"{looks_like(shapes, model)}: {_listed(shapes)}",
            wanted=_WANTED,
            do="Export the network with these two outputs.",
        )
    if len(pairs) > 1 and Outputs(*JETSON_OUTPUTS) not in pairs:
        raise InputError(
            f"{path} has more than one pair of outputs that could be scores and boxes",
            got=_listed(shapes),
            wanted=_WANTED,
            do="Choose the two outputs: --scores NAME --boxes NAME",
        )
    return Outputs(*JETSON_OUTPUTS) if len(pairs) > 1 else pairs[0]


def refuse_changing_sizes(changes: bool, shapes: Shapes, path: Path) -> None:
    """Raise ArtifactError where the number of boxes follows the content of the image."""
    if changes:
        raise ArtifactError(
            f"{path} already contains its NMS",
            got=f"a number of boxes that differs between images: {_listed(shapes)}",
            wanted=_WANTED,
            do="Export the network without its NMS, with these two outputs.",
        )


def is_softmaxed(scores: FloatArray, stated: Activation, path: Path) -> bool:
    """Return whether the (P, N, L) scores are probabilities over L already.

    By the values and not by the last operator: a softmax over the wrong axis or by level is distinguished as well.

    Raises:
        ArtifactError: they contradict what the user stated, or are neither logits nor probabilities.
    """
    in_range = bool((scores >= 0).all() and (scores <= 1).all())
    found = in_range and bool(np.abs(scores.sum(axis=-1) - 1).max() <= _SUM_TOLERANCE)
    if stated == "auto" and in_range and not found:
        raise ArtifactError(
            f"the scores of {path} are not those of an SSD",
            got=f"values from 0 to 1 with a sum over the classes of {scores.sum(axis=-1).mean():.3g}, so they are "
            "probably the results of a sigmoid",
            wanted="logits, or a softmax over the classes and background",
            do="If they are logits nevertheless, add --activation logits.",
        )
    if stated != "auto" and found != (stated == "softmax"):
        what = "are already softmax probabilities" if found else "are not softmax probabilities over the classes"
        raise ArtifactError(f"the scores of {path} {what}", got=f"--activation {stated}", do="Leave out --activation.")
    return found


def refuse_background_last(probabilities: FloatArray, path: Path) -> None:
    """Raise ArtifactError where (P, N, L) probabilities have background in the last column, as mmdetection has it.

    Nearly all boxes of an SSD show background, so that its mean probability is near 1.
    """
    means = probabilities.mean(axis=(0, 1))
    if means[-1] > _BACKGROUND and means[0] < 1 - _BACKGROUND:
        raise ArtifactError(
            f"{path} has the background in its last column",
            got=f"a mean probability of {means[-1]:.2f} in column {len(means) - 1}, and of {means[0]:.2f} in column 0",
            wanted="the background in column 0, followed by the classes",
            do="Move the background before the export: torch.cat([scores[..., -1:], scores[..., :-1]], dim=-1)",
        )


def refuse_not_decoded(boxes: FloatArray, path: Path) -> None:
    """Raise ArtifactError unless (P, N, 4) values look like x1 y1 x2 y2 in 0..1 of the image."""
    ordered = float((boxes[..., 2:] >= boxes[..., :2]).all(axis=-1).mean())
    if ordered < _MOSTLY:
        raise ArtifactError(
            f"the boxes of {path} are not x1 y1 x2 y2",
            got=f"x2 >= x1 and y2 >= y1 in only {ordered:.0%} of the boxes, so they are probably offsets",
            wanted="decoded boxes, or offsets together with their anchors",
            do="For offsets, give the anchors: --anchors priors.npy. For boxes in another order: --box-layout "
            "cxcywh or xywh.",
        )
    if float(np.median(np.abs(boxes))) > _LARGEST_FRACTION:
        raise ArtifactError(
            f"the boxes of {path} are in pixels",
            got=f"values from {boxes.min():.3g} to {boxes.max():.3g}",
            wanted="fractions of the image, 0 to 1",
            do="Divide the boxes by the input size before the export.",
        )


def refuse_decoded(offsets: FloatArray, anchors: FloatArray, path: Path) -> None:
    """Raise ArtifactError where (P, N, 4) "offsets" are boxes that lie where the (N, 4) anchors do."""
    ordered = bool((offsets[..., 2:] > offsets[..., :2]).all())
    if not ordered:
        return
    centers = (offsets[..., :2] + offsets[..., 2:]) / 2
    places = np.broadcast_to(anchors[:, :2], centers.shape)
    if centers.std() > 0 and np.corrcoef(centers.ravel(), places.ravel())[0, 1] > _SAME_PLACES:
        raise ArtifactError(
            f"the boxes of {path} are already decoded",
            got="boxes x1 y1 x2 y2 at the places of the anchors",
            wanted="offsets from the anchors",
            do="Leave out --anchors.",
        )


def refuse_tensorflow(model: onnx.ModelProto, path: Path) -> None:
    """Raise ArtifactError for a graph of TensorFlow's object detection API, by the names of its outputs."""
    names = {entry.name.split(":")[0] for entry in model.graph.output}
    if len(names & _TF_OUTPUTS) > 1:
        raise ArtifactError(
            f"{path} was exported by TensorFlow's object detection API and cannot be imported",
            got="a graph with resizing and NMS inside, and sigmoid scores",
            wanted=_WANTED,
            do="Train an ssd-edge network on the same data (ssd-edge models, ssd-edge train).",
        )


def looks_like(shapes: Shapes, model: onnx.ModelProto) -> str:
    """Return what the outputs show, e.g. ``an image classifier``."""
    ranks = sorted(len(shape) for shape in shapes.values())
    only = next(iter(shapes.values())) if len(shapes) == 1 else ()
    if any(node.op_type == "NonMaxSuppression" for node in model.graph.node):
        return "a detector with its NMS inside"
    if ranks == [2]:
        return "an image classifier"
    if ranks == [3] and min(only[1:]) >= 5 and max(only[1:]) >= _MANY_BOXES:
        return "a YOLO, with boxes and scores in one output"
    if ranks == [4]:
        return "a segmentation network or a single feature map"
    if len(ranks) > 1 and ranks[0] >= 4:
        return "the feature maps of a detector, not yet flattened and concatenated"
    return "outputs of another kind"


def _listed(shapes: Shapes) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in shapes.items())
