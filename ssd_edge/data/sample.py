"""What every reader of labels gives and everything that learns or judges takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabelledObject:
    """One object as a label file states it, before its class has a number.

    Attributes:
        label: the class's name.
        box: x1 y1 x2 y2 in pixels; the right and bottom edges are exclusive.
        difficult: neither learnt nor counted (VOC ``difficult``, COCO ``iscrowd``).
    """

    label: str
    box: Corners
    difficult: bool = False


@dataclass(frozen=True)
class Sample:
    """One picture's file and its labels.

    Attributes:
        image: the picture's file.
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels from the top left corner; the right and bottom edges are
            exclusive, so that a box over the whole of a 640 x 480 picture is 0 0 640 480. Boxes are as labelled: they
            have a positive width and height, but may reach over the picture's edge.
        class_ids: (N,) int64; 0 is the first real class.
        difficult: (N,) bool; objects that are neither learnt nor counted.
    """

    image: Path
    boxes: FloatArray
    class_ids: IntArray
    difficult: BoolArray

    def __len__(self) -> int:
        return len(self.class_ids)

    @classmethod
    def from_objects(
        cls, image: Path, objects: Sequence[LabelledObject], class_names: Sequence[str], *, origin: Path
    ) -> Sample:
        """Give each object its class's number; ``origin`` is the label file that errors name.

        Raises:
            InputError: a class is not in ``class_names``, or a box is not finite, is inverted or is empty.
        """
        numbers = {name: number for number, name in enumerate(class_names)}
        for number, found in enumerate(objects, start=1):
            _refuse_bad_object(found, numbers, f"{origin}: object {number} ({found.label})")
        return cls(
            image=image,
            boxes=np.array([found.box for found in objects], np.float32).reshape(-1, 4),
            class_ids=np.array([numbers[found.label] for found in objects], np.int64),
            difficult=np.array([found.difficult for found in objects], np.bool_),
        )


@dataclass(frozen=True)
class LabelledSet:
    """The pictures of one split, and the classes that their numbers stand for.

    Attributes:
        class_names: real classes only; background is never listed.
        origin: what was read, for messages, e.g. ``VOC data/signs, split train``.
    """

    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def object_count(self) -> int:
        """Number of labelled objects over all pictures."""
        return sum(len(sample) for sample in self.samples)


def sorted_labels(objects: Iterable[LabelledObject]) -> tuple[str, ...]:
    """Return each label once, in alphabetical order: the classes of data that lists none."""
    return tuple(sorted({found.label for found in objects}))


def _refuse_bad_object(found: LabelledObject, numbers: dict[str, int], what: str) -> None:
    if found.label not in numbers:
        known = ", ".join(numbers) or "no class at all"
        raise InputError(
            f"{what} is of an unknown class",
            got=repr(found.label),
            wanted=known,
            do="Correct the label, or add the class to the list of classes.",
        )
    x1, y1, x2, y2 = found.box
    sides_hold = all(math.isfinite(np.float32(value)) for value in found.box) and np.float32(x1) < np.float32(x2)
    if not (sides_hold and np.float32(y1) < np.float32(y2)):
        raise InputError(
            f"{what} has no usable box",
            got=f"x1 y1 x2 y2 = {x1:g} {y1:g} {x2:g} {y2:g}",
            wanted="finite numbers with x1 < x2 and y1 < y2",
            do="Correct or delete this object.",
        )
