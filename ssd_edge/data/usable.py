"""Usable part of a labelled set, as training, evaluation and the data check decide it.

One bad item never stops the whole. An object that cannot be used becomes ``difficult`` where its place is known; its
image is left out where it is not: nothing that is labelled is ever learned as background.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import counted, log
from ssd_edge.core.sample import UNKNOWN_CLASS, Corners, LabelledObject, LabelledSet, Sample, object_fault
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.scan import ScannedImage, ScannedSet, of_image

EDGE_PX = 1.0
"""Allowed overhang of a box without a warning: some tools count pixels from 0, others from 1."""
_NAMED = 3  # left-out items that are logged one by one
_FRACTION = 1.001  # largest value that may be one: tools round

Consequence = Literal["image", "object", "clipped"]
"""The image is left out, the object is treated like ``difficult``, or its box was cut off at the edge."""


class Finding(NamedTuple):
    """One fault, and what follows from it.

    Attributes:
        fault: what is wrong.
        consequence: what is done.
        box: x1 y1 x2 y2 as stated, where the fault is of a box.
    """

    fault: LabelError
    consequence: Consequence
    box: Corners | None = None


@dataclass(frozen=True)
class UsableImage:
    """Usable part of an image.

    Attributes:
        sample: None where the image is left out.
        findings: what cannot be used, or had to be clipped by more than a pixel.
        clipped: boxes that were clipped by less.
    """

    sample: Sample | None
    findings: tuple[Finding, ...] = ()
    clipped: int = 0

    @property
    def sound_objects(self) -> int:
        """Objects of which nothing is wrong, in an image that can be used."""
        return (
            0
            if self.sample is None
            else len(self.sample) - sum(found.consequence == "object" for found in self.findings)
        )


@dataclass(frozen=True)
class UsableSet:
    """Usable part of a labelled set.

    Attributes:
        labelled: the images that can, with their objects.
        findings: all faults, in the order of the files.
        images, left_out_images: how many are listed, and how many of them cannot be used.
        objects, left_out_objects: the same of objects, those of images that are left out included.
        clipped: boxes that were cut off at the edge by less than a pixel.
        emptied_classes: those whose every object cannot be used.
    """

    labelled: LabelledSet
    findings: tuple[Finding, ...]
    images: int
    left_out_images: int
    objects: int
    left_out_objects: int
    clipped: int
    emptied_classes: tuple[str, ...]

    def check(self, tolerance: Tolerance) -> None:
        """Refuse a set of which too much cannot be used.

        Raises:
            LabelError: the first finding, where none is tolerated.
            InputError: more than the tolerated share is left out, or a class has no object left.
        """
        if tolerance.strict and self.findings:
            raise self.findings[0].fault
        left_out = (self.left_out_images, self.images, "image"), (self.left_out_objects, self.objects, "object")
        for bad, count, what in left_out:
            if bad > tolerance.max_bad * count:
                raise self._too_bad(bad, count, what, tolerance)
        if self.emptied_classes:
            raise InputError(
                f"{self.labelled.origin} has no usable object of class {', '.join(map(repr, self.emptied_classes))}",
                got=f"objects that cannot be used, the first: {self._first_fault()}",
                wanted="at least one usable object of each labelled class",
                do="Correct the labels.",
            )

    def log_left_out(self) -> None:
        """Log what is left out: how much, and the first few by name."""
        notes = [finding for finding in self.findings if finding.consequence != "clipped"]
        if notes:
            images = f"{self.left_out_images} of {counted(self.images, 'image')}"
            objects = f"{self.left_out_objects} of {counted(self.objects, 'object')}"
            log.warning(f"{self.labelled.origin}: {images} and {objects} cannot be used and are left out")
        over_edge = [finding for finding in self.findings if finding.consequence == "clipped"]
        for finding in [*notes[:_NAMED], *over_edge[:_NAMED]]:
            log.warning(f"{finding.fault}")
        clipped = len(over_edge) + self.clipped
        if clipped:
            boxes = "1 box" if clipped == 1 else f"{clipped} boxes"
            log.info(f"{self.labelled.origin}: {boxes} clipped at the edge, {len(over_edge)} by more than a pixel")

    def _first_fault(self) -> str:
        return str(next(found.fault for found in self.findings if found.consequence != "clipped")).rstrip(".")

    def _too_bad(self, bad: int, count: int, what: str, tolerance: Tolerance) -> InputError:
        kinds = Counter(found.fault.kind for found in self.findings if found.consequence != "clipped")
        commonest = ", ".join(f"{number} × {kind}" for kind, number in kinds.most_common(4))
        return InputError(
            f"{self.labelled.origin}: {bad} of {counted(count, what)} cannot be used",
            got=f"{commonest}; the first: {self._first_fault()}",
            wanted=f"at most {tolerance.max_bad:.0%} of the {what}s",
            do=f"Correct them, or use the rest anyway: {keyword('max_bad', min(_above(bad / count), 1.0))}",
        )


def _above(share: float) -> float:
    """The share rounded up to hundredths."""
    return int(np.ceil(share * 100)) / 100


def usable_set(scanned: ScannedSet, unreadable: Mapping[Path, str] | None = None) -> UsableSet:
    """Return what of a scanned set can be used.

    Args:
        scanned: as the readers give it.
        unreadable: images whose pixels were found to be damaged, and why; the readers look at headers only.
    """
    numbers = {name: number for number, name in enumerate(scanned.class_names)}
    faults = {**_contradictions(scanned), **_unreadable(unreadable or {})}
    looked_at = [usable_image(_with_fault(image, faults), numbers) for image in scanned.images]
    findings = [Finding(fault, "image") for fault in scanned.lost_images]
    findings += [Finding(fault, "object") for fault in scanned.lost_objects]
    findings += [finding for found in looked_at for finding in found.findings]
    samples = tuple(found.sample for found in looked_at if found.sample is not None)
    left_out = tuple(_left_out(finding) for finding in findings if finding.consequence != "clipped")
    objects = sum(len(image.objects) for image in scanned.images) + _without_box(findings)
    return UsableSet(
        labelled=LabelledSet(scanned.class_names, samples, scanned.origin, left_out),
        findings=tuple(findings),
        images=len(scanned.images) + len(scanned.lost_images),
        left_out_images=len(scanned.images) + len(scanned.lost_images) - len(samples),
        objects=objects,
        left_out_objects=objects - sum(found.sound_objects for found in looked_at),
        clipped=sum(found.clipped for found in looked_at),
        emptied_classes=tuple(_emptied(scanned, samples)),
    )


def checked_set(scanned: ScannedSet) -> LabelledSet:
    """Return the images of a scanned set with their classes numbered, where nothing is left out or clipped.

    Raises:
        LabelError: something is.
    """
    usable = usable_set(scanned)
    for finding in usable.findings:
        raise finding.fault
    return usable.labelled


def _unreadable(unreadable: Mapping[Path, str]) -> dict[Path, LabelError]:
    return {image: LabelError("image-unreadable", why, file=image) for image, why in unreadable.items()}


def _contradictions(scanned: ScannedSet) -> dict[Path, LabelError]:
    """Images that are listed twice with other objects: what one entry lacks would be learned as background."""
    first: dict[Path, ScannedImage] = {}
    faults: dict[Path, LabelError] = {}
    for image in scanned.images:
        other = first.setdefault(image.image, image)
        if image.objects != other.objects:
            what = f"{image.image} is labelled twice, with different objects"
            got = f"{image.origin}: {len(other.objects)} and {len(image.objects)} objects"
            faults[image.image] = LabelError("labels-contradict", what, file=image.origin, got=got)
    return faults


def _with_fault(image: ScannedImage, faults: Mapping[Path, LabelError]) -> ScannedImage:
    fault = faults.get(image.image)
    if fault is None or any(known.kind == fault.kind for known in image.faults):
        return image
    return replace(image, faults=(*image.faults, of_image(fault, image.image)))


def _without_box(findings: Iterable[Finding]) -> int:
    """Objects that the readers could not read at all, and which are in no list of objects."""
    return sum(finding.fault.place != "" and finding.box is None for finding in findings)


def _left_out(finding: Finding) -> LeftOut:
    fault = finding.fault
    place = f"{fault.file}: {fault.place}" if fault.place else str(fault.file)
    why = fault.what.removeprefix(place).strip()
    what = place if fault.place or fault.image is None else str(fault.image)
    return LeftOut(what, f"{why}: got {fault.got}" if fault.got else why)


def _emptied(scanned: ScannedSet, samples: Iterable[Sample]) -> Iterator[str]:
    """The classes that have objects which must be found, but none that can be."""
    stated = {found.label for image in scanned.images for found in image.objects if not found.difficult}
    left = {number for sample in samples for number in sample.class_ids[~sample.difficult].tolist()}
    for number, name in enumerate(scanned.class_names):
        if name in stated and number not in left:
            yield name


def usable_image(image: ScannedImage, numbers: Mapping[str, int]) -> UsableImage:
    """Return what of an image can be used.

    Args:
        image: as scanned.
        numbers: of the classes.
    """
    kept: list[LabelledObject] = []
    findings = [Finding(fault, "image") for fault in image.faults]
    if image.size is None:
        return UsableImage(None, tuple(findings))
    clipped = 0
    for number, found in enumerate(image.objects, start=1):
        inside, finding = _in_image(found, image, image.size, numbers, number)
        kept.append(inside)
        if finding is not None:
            finding.fault.image = image.image
            findings.append(finding)
        clipped += finding is None and inside.box != found.box
    if any(finding.consequence == "image" for finding in findings):
        return UsableImage(None, tuple(findings))
    return UsableImage(_sample(image.image, kept, numbers), tuple(findings), clipped)


def _in_image(
    found: LabelledObject, image: ScannedImage, size: tuple[int, int], numbers: Mapping[str, int], number: int
) -> tuple[LabelledObject, Finding | None]:
    """Return an object with its box cut off at the edges of its image, and what is wrong with it."""
    fault = object_fault(found, numbers, number, image.origin)
    place = f"{found.place or f'object {number}'} ({found.label})"
    if fault is not None and fault.kind == "box-not-finite":
        return found, Finding(fault, "image", found.box)
    spread = _spread(found.box)
    edge_fault = _edge_fault(spread, found.box, size, place, image)
    if edge_fault is not None and edge_fault.kind != "box-over-edge":
        return found, Finding(edge_fault, "image", found.box)
    box = _clipped(spread, size)
    if fault is not None or not _has_area(box):
        fault = fault or _box_error("box-empty", image, place, found.box, "has no pixel within its image of", size)
        return replace(found, box=_at_least_a_pixel(box, size), difficult=True), Finding(fault, "object", found.box)
    if box == found.box:
        return found, None
    area = found.area if found.area != _area(found.box) else _area(box)
    inside = replace(found, box=box, area=area)
    return inside, None if edge_fault is None else Finding(edge_fault, "clipped", found.box)


def _edge_fault(
    spread: Corners, stated: Corners, size: tuple[int, int], place: str, image: ScannedImage
) -> LabelError | None:
    (x1, y1, x2, y2), (width, height) = spread, size
    if looks_like_fractions(stated):
        return _box_error("box-in-fractions", image, place, stated, "looks like fractions of its image of", size)
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        return _box_error("box-outside", image, place, stated, "lies outside its image of", size)
    if min(x1, y1) < -EDGE_PX or x2 > width + EDGE_PX or y2 > height + EDGE_PX:
        return _box_error("box-over-edge", image, place, stated, "extends beyond its image of", size)
    return None


def _box_error(
    kind: Literal["box-in-fractions", "box-outside", "box-over-edge", "box-empty"],
    image: ScannedImage,
    place: str,
    box: Corners,
    what: str,
    size: tuple[int, int],
) -> LabelError:
    stated = "x1 y1 x2 y2 = " + " ".join(f"{value:g}" for value in box)
    return LabelError.at(kind, image.origin, place, f"{what} {size[0]} x {size[1]}", got=stated)


def looks_like_fractions(box: Corners) -> bool:
    """Whether a box that is to be in pixels lies within the first pixel, with a corner between whole numbers.

    VOC's corners count from 1: fractions in its files lie between -1 and 1 here.
    """
    in_range = min(box[:2]) >= -_FRACTION and max(box) <= _FRACTION
    return in_range and any(abs(value - round(value)) > 1e-9 for value in box)


def _spread(box: Corners) -> Corners:
    """The area between the corners, in whatever order they are."""
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _clipped(box: Corners, size: tuple[int, int]) -> Corners:
    (x1, y1, x2, y2), (width, height) = box, size
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def _has_area(box: Corners) -> bool:
    """In float32, the precision in which boxes are kept."""
    x1, y1, x2, y2 = (np.float32(value) for value in box)
    return bool(x1 < x2 and y1 < y2)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _at_least_a_pixel(box: Corners, size: tuple[int, int]) -> Corners:
    """A box that cannot be learned, wide and high enough to keep its place from being learned as background."""
    x1, y1 = (min(value, limit - 1) for value, limit in zip(box[:2], size, strict=True))
    return x1, y1, max(box[2], x1 + 1), max(box[3], y1 + 1)


def _sample(image: Path, objects: list[LabelledObject], numbers: Mapping[str, int]) -> Sample:
    return Sample(
        image=image,
        boxes=np.array([found.box for found in objects], np.float32).reshape(-1, 4),
        class_ids=np.array([numbers.get(found.label, UNKNOWN_CLASS) for found in objects], np.int64),
        difficult=np.array([found.difficult for found in objects], np.bool_),
        areas=np.array([found.area for found in objects], np.float64),
    )
