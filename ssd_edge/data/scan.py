"""Labels as they stand in the files: read, but not yet checked for their classes and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssd_edge.core.errors import InputError
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.image_size import image_size

Unit = Literal["corners", "sides", "fractions"]
"""Box format: corners in pixels (VOC), corner and sides in pixels (COCO), fractions (YOLO)."""


@dataclass(frozen=True)
class ScannedImage:
    """One image's file and what its labels state.

    Attributes:
        image: the image's file, be it there or not.
        origin: the label file, for messages.
        objects: with boxes of any kind and labels of any name; an empty label where the file names none.
        size: (width, height) of the image; None where it cannot be read.
        stated_size: (width, height) as the labels state it, where they do.
        has_labels: whether a label file is there; an image without one has no objects.
        faults: why the image cannot be used: it or its labels cannot be read, or the place of an object is not known.
    """

    image: Path
    origin: Path
    objects: tuple[LabelledObject, ...] = ()
    size: tuple[int, int] | None = None
    stated_size: tuple[int, int] | None = None
    has_labels: bool = True
    faults: tuple[LabelError, ...] = ()


@dataclass(frozen=True)
class ScannedSet:
    """The images of one split.

    Attributes:
        class_names: real classes only; background is never listed.
        images: all that are listed, those that cannot be used included.
        origin: what was read, for messages, e.g. ``VOC data/signs, split train``.
        unit: how the files state a box.
        lost_images: entries of lists that name no image that could be looked for.
        lost_objects: objects that belong to no image.
        image_folders: where the images of this split lie, for finding those that no label knows.
    """

    class_names: tuple[str, ...]
    images: tuple[ScannedImage, ...]
    origin: str
    unit: Unit
    lost_images: tuple[LabelError, ...] = ()
    lost_objects: tuple[LabelError, ...] = ()
    image_folders: tuple[Path, ...] = ()


def measured_image(image: Path) -> tuple[tuple[int, int] | None, tuple[LabelError, ...]]:
    """Return (width, height) of an image by its header, or why it cannot be read."""
    try:
        return image_size(image), ()
    except InputError as error:
        fault = LabelError("image-unreadable", error.what, file=image, got=error.got, wanted=error.wanted, do=error.do)
        return None, (of_image(fault, image),)


def of_image(fault: LabelError, image: Path) -> LabelError:
    """Return a fault with the image that it is about."""
    fault.image = image
    return fault
