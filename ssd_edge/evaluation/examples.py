"""Pictures of a set with what a detector found, got wrong and missed."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_edge.core.detections import Detections
from ssd_edge.core.images import read_image
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.report_content import Still
from ssd_edge.evaluation.stills import Marks, draw, mark


def marked(found: Sequence[Detections], labelled: LabelledSet, *, score: float) -> list[Marks]:
    """Compare each picture's detections of ``score`` or more with its objects."""
    return [mark(seen, sample, score_threshold=score) for seen, sample in zip(found, labelled.samples, strict=True)]


def drawn(marks: Sequence[Marks], labelled: LabelledSet, numbers: Sequence[int]) -> tuple[Still, ...]:
    """Return the pictures of these numbers, in this order, with their marks drawn in.

    Raises:
        InputError: a picture cannot be read any more.
    """
    stills = []
    for number in numbers:
        sample = labelled.samples[number]
        picture = draw(read_image(sample.image), marks[number], sample, labelled.class_names)
        stills.append(Still(picture, sample.image.stem, marks[number].verdict))
    return tuple(stills)
