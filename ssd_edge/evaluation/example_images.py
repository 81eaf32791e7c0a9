"""Images of a set with what a detector found, got wrong and missed drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.images import read_image
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.matching import BoolArray, Truth, assign, match
from ssd_edge.reporting.captions import Captions, Color
from ssd_edge.reporting.images import CaptionedImage, KeyEntry

RIGHT: Color = (94, 197, 34)  # BGR
WRONG: Color = (22, 115, 249)
MISSED: Color = (248, 189, 56)
_WORST_FIRST = (WRONG, MISSED, RIGHT)
COLOR_KEY = tuple(
    KeyEntry(label, "#{2:02x}{1:02x}{0:02x}".format(*color), dashed=color is MISSED)
    for label, color in (("found", RIGHT), ("wrong", WRONG), ("missed", MISSED))
)
"""Legend of the drawn boxes."""


@dataclass(frozen=True)
class Marks:
    """Detections of one image compared with its objects, at one score threshold.

    Attributes:
        shown: the detections over the threshold.
        true_positives: (N,) whether each of them found an object.
        missed: (G,) whether each object that must be found was not.
    """

    shown: Detections
    true_positives: BoolArray
    missed: BoolArray

    @property
    def mistakes(self) -> int:
        """Wrong detections and missed objects together."""
        return int(np.count_nonzero(~self.true_positives) + np.count_nonzero(self.missed))

    @property
    def verdict(self) -> str:
        """The counts in words."""
        wrong, missed = np.count_nonzero(~self.true_positives), np.count_nonzero(self.missed)
        return f"{np.count_nonzero(self.true_positives)} found, {wrong} wrong, {missed} missed"


def mark(found: Detections, truth: Truth, *, score_threshold: float, iou_threshold: float = 0.5) -> Marks:
    """Compare one image's detections over ``score_threshold`` with its objects, by the metric's own rules.

    A detection on a difficult object is not shown: it is neither right nor wrong.
    """
    shown = found.above(score_threshold)
    right, kept = np.zeros(len(shown), bool), np.ones(len(shown), bool)
    missed = ~truth.difficult
    for class_id in np.unique(shown.class_ids):
        rows = np.flatnonzero(shown.class_ids == class_id)
        assignment = assign([shown], [truth], int(class_id) + 1)[int(class_id)]
        outcomes = match(assignment, iou_threshold)
        kept[rows] = outcomes.counted
        right[rows[outcomes.counted]] = outcomes.true_positives
        missed[assignment.objects[outcomes.counted][outcomes.true_positives]] = False
    boxes, scores, class_ids = shown.boxes[kept], shown.scores[kept], shown.class_ids[kept]
    return Marks(Detections(boxes, scores, class_ids), right[kept], missed)


def marked(found: Sequence[Detections], labelled: LabelledSet, *, score: float) -> list[Marks]:
    """Compare each image's detections of ``score`` or more with its objects."""
    return [mark(seen, sample, score_threshold=score) for seen, sample in zip(found, labelled.samples, strict=True)]


def drawn(marks: Sequence[Marks], labelled: LabelledSet, numbers: Sequence[int]) -> tuple[CaptionedImage, ...]:
    """Return the images of these numbers, in this order, with their marks drawn in.

    Raises:
        InputError: an image cannot be read any more.
    """
    images = []
    for number in numbers:
        sample = labelled.samples[number]
        image = draw(read_image(sample.image), marks[number], sample, labelled.class_names)
        images.append(CaptionedImage(image, sample.image.stem, marks[number].verdict))
    return tuple(images)


def spread(marks: Sequence[Marks], count: int) -> list[int]:
    """Return the numbers of up to ``count`` images, from the worst to the best in equal steps: no cherry-picking."""
    order = _worst_first(marks)
    steps = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [order[step] for step in steps]


def extremes(marks: Sequence[Marks], count: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the worst and of the best images, up to ``count`` of each, no image in both."""
    order = _worst_first(marks)
    worst = order[: min(count, (len(order) + 1) // 2)]
    return worst, order[len(worst) :][::-1][:count]


def _worst_first(marks: Sequence[Marks]) -> list[int]:
    """Most mistakes first; of equals the one where less was right, so that the last found much without a mistake."""
    return sorted(range(len(marks)), key=lambda n: (-marks[n].mistakes, int(np.count_nonzero(marks[n].true_positives))))


def draw(
    image: UInt8Array, marks: Marks, truth: Truth, class_names: Sequence[str], *, longest_side: int = 960
) -> UInt8Array:
    """Return a copy, at most ``longest_side`` pixels long: found green, wrong orange, missed blue and dashed.

    Captions name the class, of detections the score too; where boxes crowd, mistakes have theirs first.
    """
    scale = min(1.0, longest_side / max(image.shape[:2]))
    canvas = np.array(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    line = max(2, round(max(canvas.shape[:2]) / 250))
    captions = []
    for box, class_id in zip(truth.boxes[marks.missed] * scale, truth.class_ids[marks.missed], strict=True):
        _dashed(canvas, box, MISSED, line)
        captions.append((box, class_names[class_id], MISSED))
    for box, score, class_id, right in zip(
        marks.shown.boxes * scale, marks.shown.scores, marks.shown.class_ids, marks.true_positives, strict=True
    ):
        color = RIGHT if right else WRONG
        cv2.rectangle(canvas, _point(box[:2]), _point(box[2:]), color, line, cv2.LINE_AA)
        captions.append((box, f"{class_names[class_id]} {score:.2f}", color))
    written = Captions(canvas)
    for box, text, color in sorted(captions, key=lambda caption: _WORST_FIRST.index(caption[2])):
        written.write(box, text, color)
    return canvas


def _point(corner: FloatArray) -> tuple[int, int]:
    return round(float(corner[0])), round(float(corner[1]))


def _dashed(canvas: UInt8Array, box: FloatArray, color: Color, line: int) -> None:
    dash = 4 * line
    (left, top), (right, bottom) = _point(box[:2]), _point(box[2:])
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            cv2.line(canvas, (x, y), (min(x + dash, right), y), color, line)
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            cv2.line(canvas, (x, y), (x, min(y + dash, bottom)), color, line)
