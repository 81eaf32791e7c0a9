"""Labelled samples: the output of all label readers, and the input of training and evaluation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.core.label_errors import LabelError, LabelFaultKind
from ssd_edge.core.left_out import LeftOut

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]
Corners = tuple[float, float, float, float]

MAX_OBJECTS = 10_000
"""Of one image: far above the densest published sets, and what matching them to anchors can hold."""
UNKNOWN_CLASS = -1
"""Class id of an object whose class nobody knows; it is always difficult."""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class LabelledObject:
    """One object as a label file states it, before its class has a number.

    Attributes:
        label: the class's name.
        box: x1 y1 x2 y2 in pixels; the right and bottom edges are exclusive.
        area: pixels that the object covers: those in its outline where the labels state that (COCO), else its box.
        difficult: neither learned nor counted (VOC ``difficult``, COCO ``iscrowd``).
        place: what its label file calls it, for messages, e.g. ``annotation 17`` or ``line 3``.
    """

    label: str
    box: Corners
    area: float
    difficult: bool = False
    place: str = field(default="", compare=False)

    @classmethod
    def of_box(cls, label: str, box: Corners, difficult: bool = False, *, place: str = "") -> LabelledObject:
        """Return an object of which nothing but its box is known."""
        return cls(label, box, (box[2] - box[0]) * (box[3] - box[1]), difficult, place)


@dataclass(frozen=True)
class Sample:
    """One image's file and its labels.

    Attributes:
        image: the image's file.
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels from the top left corner; the right and bottom edges are
            exclusive, so that a box over the whole of a 640 x 480 image is 0 0 640 480. They have a positive width and
            height; those that a reader of data sets gives lie within the image.
        class_ids: (N,) int64; 0 is the first real class, ``UNKNOWN_CLASS`` only where an object is difficult.
        difficult: (N,) bool; objects that are neither learned nor counted, nor learned as background.
        areas: (N,) float64, pixels that each object covers, as labelled; by them COCO calls it small or large.
    """

    image: Path
    boxes: FloatArray
    class_ids: IntArray
    difficult: BoolArray
    areas: Float64Array

    def __len__(self) -> int:
        return len(self.class_ids)

    @classmethod
    def from_objects(
        cls, image: Path, objects: Sequence[LabelledObject], class_names: Sequence[str], *, origin: Path
    ) -> Sample:
        """Give each object its class's number; ``origin`` is the label file that errors name.

        Raises:
            LabelError: a class is not in ``class_names``, a box is not finite, is inverted or is empty, or there are
                more than ``MAX_OBJECTS``.
        """
        numbers = {name: number for number, name in enumerate(class_names)}
        refuse_too_many(len(objects), origin)
        for number, found in enumerate(objects, start=1):
            fault = object_fault(found, numbers, number, origin)
            if fault is not None:
                raise fault
        return cls(
            image=image,
            boxes=np.array([found.box for found in objects], np.float32).reshape(-1, 4),
            class_ids=np.array([numbers[found.label] for found in objects], np.int64),
            difficult=np.array([found.difficult for found in objects], np.bool_),
            areas=np.array([found.area for found in objects], np.float64),
        )


@dataclass(frozen=True)
class LabelledSet:
    """The images of one split, and the classes that their numbers stand for.

    Attributes:
        class_names: real classes only; background is never listed.
        origin: what was read, for messages, e.g. ``VOC data/signs, split train``.
        left_out: images and objects that could not be used; such an object is difficult, where its image is here.
    """

    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    origin: str
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def object_count(self) -> int:
        """Number of labelled objects over all images."""
        return sum(len(sample) for sample in self.samples)

    @property
    def empty_count(self) -> int:
        """Number of images without an object to learn: none is labelled, or all are difficult."""
        return sum(bool(sample.difficult.all()) for sample in self.samples)

    @property
    def digest(self) -> str:
        """``sha256:<64 hex digits>`` of names and labels of all images in their order, and of the classes."""
        digest = hashlib.sha256("\n".join(self.class_names).encode("utf-8", "surrogatepass"))
        for sample in self.samples:
            digest.update(f"\n{sample.image.name}\n".encode("utf-8", "surrogateescape"))
            for labels in (sample.boxes, sample.class_ids, sample.difficult):
                digest.update(np.ascontiguousarray(labels).tobytes())
        return f"sha256:{digest.hexdigest()}"


def sorted_labels(objects: Iterable[LabelledObject]) -> tuple[str, ...]:
    """Return each label once, in alphabetical order: the classes of data that lists none."""
    return tuple(sorted({found.label for found in objects}))


def refuse_too_many(count: int, origin: Path) -> None:
    """Raise LabelError where an image has more objects than any real one."""
    if count > MAX_OBJECTS:
        raise LabelError(
            "too-many-objects",
            f"{origin} has too many objects for one image",
            file=origin,
            got=f"{count}",
            wanted=f"at most {MAX_OBJECTS}",
        )


def object_fault(found: LabelledObject, known: Container[str], number: int, origin: Path) -> LabelError | None:
    """Return what is wrong with an object's class or box; None where all is well.

    Args:
        found: the object.
        known: the names of the classes.
        number: of the object in its file, from 1; its name in messages where the file has no better one.
        origin: the label file.
    """
    place = f"{found.place or f'object {number}'} ({found.label})"
    kind = _box_fault(found.box)
    if kind != "box-not-finite" and not found.label:
        place = found.place or f"object {number}"
        return LabelError.at("object-malformed", origin, place, "has no name", got="", wanted="a class")
    if kind != "box-not-finite" and found.label not in known:
        return LabelError(
            "class-unknown",
            f"{origin}: {place} has an unknown class",
            file=origin,
            place=place,
            got=repr(found.label),
            wanted=_listed(known),
            do="Correct the label, or add the class to the list of classes.",
        )
    if kind is None:
        return None
    x1, y1, x2, y2 = found.box
    return LabelError(
        kind,
        f"{origin}: {place} has no usable box",
        file=origin,
        place=place,
        got=f"x1 y1 x2 y2 = {x1:g} {y1:g} {x2:g} {y2:g}",
        wanted="finite numbers with x1 < x2 and y1 < y2",
        do="Correct or delete this object.",
    )


def _listed(known: Container[str]) -> str:
    names = list(known) if isinstance(known, Iterable) else []
    return ", ".join(names[:20]) + (" …" if len(names) > 20 else "") or "no class"


def _box_fault(box: Corners) -> LabelFaultKind | None:
    """Problem of a box in float32, the precision in which it is kept."""
    if not all(math.isfinite(value) and abs(value) < _LARGEST for value in box):
        return "box-not-finite"
    x1, y1, x2, y2 = (np.float32(value) for value in box)
    if x1 > x2 or y1 > y2:
        return "box-inverted"
    return "box-empty" if x1 == x2 or y1 == y2 else None
