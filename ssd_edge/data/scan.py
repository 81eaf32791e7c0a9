"""Labels as they stand in the files: read, but not yet checked for their classes and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.sample import LabelledObject, LabelledSet, Sample, object_fault


@dataclass(frozen=True)
class ScannedImage:
    """One picture's file and what its labels state.

    Attributes:
        image: the picture's file; it is there.
        origin: the label file, for messages.
        objects: with boxes of any kind and labels of any name.
        stated_size: (width, height) as the labels state it, where they do.
        has_labels: whether a label file is there; a YOLO picture without one has no objects.
    """

    image: Path
    origin: Path
    objects: tuple[LabelledObject, ...]
    stated_size: tuple[int, int] | None = None
    has_labels: bool = True


@dataclass(frozen=True)
class ScannedSet:
    """The pictures of one split.

    Attributes:
        class_names: real classes only; background is never listed.
        origin: what was read, for messages, e.g. ``VOC data/signs, split train``.
        image_folders: where the pictures of this split lie, for finding those that no label knows.
    """

    class_names: tuple[str, ...]
    pictures: tuple[ScannedImage, ...]
    origin: str
    image_folders: tuple[Path, ...] = ()

    def checked(self) -> LabelledSet:
        """Return the pictures with their classes numbered.

        Raises:
            LabelError: an object is of an unknown class or has no usable box.
        """
        samples = tuple(
            Sample.from_objects(picture.image, picture.objects, self.class_names, origin=picture.origin)
            for picture in self.pictures
        )
        return LabelledSet(self.class_names, samples, self.origin)

    def sound(self) -> LabelledSet:
        """Return the pictures with those of their objects that can be used, leaving out the others."""
        known = dict.fromkeys(self.class_names)
        samples = tuple(
            Sample.from_objects(
                picture.image,
                [found for found in picture.objects if object_fault(found, known, 0, picture.origin) is None],
                self.class_names,
                origin=picture.origin,
            )
            for picture in self.pictures
        )
        return LabelledSet(self.class_names, samples, self.origin)
