"""Statistics of a labelled set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ssd_edge.core.sample import UNKNOWN_CLASS, LabelledSet

_SMALL_PX, _MEDIUM_PX = 32, 96

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SetStatistics:
    """Counts and sizes of one split.

    Attributes:
        images: images.
        empty_images: those without an object.
        objects: labelled objects, difficult ones included.
        difficult: objects that are neither trained nor counted.
        per_class: objects of each class, in the order of the classes.
        images_per_class: images that show each class.
        coco_sizes: objects smaller than 32², up to 96², and larger, by their area in pixels of the image
            (cocodataset.org, "Detection Evaluation"): the outline's where the labels state it, else the box's.
        relative_sizes: percentiles 1, 5, 25, 50, 75, 95, 99 of the root of a box's share of its image.
        aspects: the same percentiles of width / height.
        objects_per_image: the same percentiles of the number of objects.
        picture_sizes: the commonest sizes of images, ``WIDTHxHEIGHT``, with their number.
    """

    images: int
    empty_images: int
    objects: int
    difficult: int
    per_class: dict[str, int]
    images_per_class: dict[str, int]
    coco_sizes: dict[str, int]
    relative_sizes: tuple[float, ...]
    aspects: tuple[float, ...]
    objects_per_image: tuple[float, ...]
    picture_sizes: dict[str, int]

    PERCENTILES: ClassVar[tuple[int, ...]] = (1, 5, 25, 50, 75, 95, 99)


def set_statistics(labelled: LabelledSet, sizes: Mapping[Path, tuple[int, int]]) -> SetStatistics:
    """Return the figures of one split.

    Args:
        labelled: the images and their objects.
        sizes: (width, height) of the images; those of unknown size are left out of the relative sizes.
    """
    samples = labelled.samples
    boxes = np.concatenate([np.zeros((0, 4)), *(sample.boxes for sample in samples)])
    sides = boxes[:, 2:] - boxes[:, :2]
    class_ids = np.concatenate([np.zeros(0, np.int64), *(sample.class_ids for sample in samples)])
    counts = np.bincount(class_ids[class_ids != UNKNOWN_CLASS], minlength=len(labelled.class_names))
    shown = Counter(number for sample in samples for number in set(sample.class_ids.tolist()))
    areas = sides.prod(axis=1)
    areas_of_images = [
        np.prod(sizes.get(sample.image, (0, 0)), dtype=np.float64) for sample in samples for _ in range(len(sample))
    ]
    known = np.array(areas_of_images) > 0
    return SetStatistics(
        images=len(samples),
        empty_images=sum(len(sample) == 0 for sample in samples),
        objects=len(boxes),
        difficult=int(sum(sample.difficult.sum() for sample in samples)),
        per_class={name: int(count) for name, count in zip(labelled.class_names, counts, strict=True)},
        images_per_class={name: shown[number] for number, name in enumerate(labelled.class_names)},
        coco_sizes=_coco_sizes(np.concatenate([np.zeros(0), *(sample.areas for sample in samples)])),
        relative_sizes=_percentiles(np.sqrt(areas[known] / np.array(areas_of_images)[known])),
        aspects=_percentiles(sides[:, 0] / sides[:, 1]),
        objects_per_image=_percentiles(np.array([len(sample) for sample in samples], np.float64)),
        picture_sizes=_commonest(sizes[sample.image] for sample in samples if sample.image in sizes),
    )


def _coco_sizes(areas: Float64Array) -> dict[str, int]:
    small, large = areas < _SMALL_PX**2, areas > _MEDIUM_PX**2
    return {
        "small": int(small.sum()),
        "medium": int((~small & ~large).sum()),
        "large": int(large.sum()),
    }


def _percentiles(values: Float64Array) -> tuple[float, ...]:
    if len(values) == 0:
        return ()
    return tuple(float(value) for value in np.percentile(values, SetStatistics.PERCENTILES))


def _commonest(sizes: Iterable[tuple[int, int]]) -> dict[str, int]:
    return {f"{width}x{height}": count for (width, height), count in Counter(sizes).most_common(5)}
