"""Images that are there twice: within a split, and, which makes every evaluation worthless, in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.data.lint.images import ExaminedImage
from ssd_edge.data.lint.issue import Issue

_BANDS = 16
_NEAR_GREY = 3.0
_LEAST_CONTRAST = 4.0
_LARGEST_BUCKET = 2000

Place = tuple[str, Path]
_Sketched = tuple[Place, UInt8Array]


def duplicate_issues(places: Sequence[Place], examined: Mapping[Path, ExaminedImage]) -> Iterator[Issue]:
    """Yield the images whose file has the bytes of an earlier one.

    Args:
        places: (split, image), in order.
        examined: what each file is.
    """
    first: dict[str, Place] = {}
    listed: set[Place] = set()
    for split, image in places:
        if (split, image) in listed:
            yield Issue("duplicate", split, image, f"{image} is listed twice in split {split}", image=image)
            continue
        listed.add((split, image))
        digest = examined[image].digest
        if not digest:
            continue
        other_split, other = first.setdefault(digest, (split, image))
        if other_split != split:
            message = f"{image} of split {split} is {_same(other, image)} of split {other_split}"
            yield Issue("leakage", split, image, message, image=image, other=other)
        elif other != image:
            yield Issue("duplicate", split, image, f"{image} has the content of {other}", image=image, other=other)


def near_duplicate_issues(places: Sequence[Place], examined: Mapping[Path, ExaminedImage]) -> Iterator[Issue]:
    """Yield the images that look like one of an earlier split: smaller, compressed again, or the next of a video.

    Images are compared as 16 x 17 gray sketches. Candidates share one of 16 bands of the difference hash (Krawetz
    2013), whose 256 bits say where the sketch grows brighter; a pair is near where the sketches differ by 3 of 256
    gray levels in the mean. Sketches without contrast are left out: one white wall looks like another.
    """
    kept = list(_with_contrast(dict.fromkeys(places), examined))
    reported: set[Path] = set()
    for first, second in _candidates(kept):
        (split, image), (other_split, other) = kept[second][0], kept[first][0]
        pair = examined[image], examined[other]
        if split == other_split or image in reported or pair[0].digest == pair[1].digest or not _near(*pair):
            continue
        reported.add(image)
        message = f"{image} of split {split} looks like {other} of split {other_split}"
        yield Issue("leakage-near", split, image, message, image=image, other=other)


def near_pairs(images: Sequence[Path], examined: Mapping[Path, ExaminedImage]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of images that look alike, as :func:`near_duplicate_issues` compares them, the smaller first.

    Args:
        images: each once.
        examined: what each file is.
    """
    kept = list(_with_contrast(((str(number), image) for number, image in enumerate(images)), examined))
    for first, second in _candidates(kept):
        (number, image), (other_number, other) = kept[first][0], kept[second][0]
        if _near(examined[image], examined[other]):
            yield int(number), int(other_number)


def sketch_difference(first: ExaminedImage, second: ExaminedImage) -> float | None:
    """Return by how many of 256 gray levels two sketches differ in the mean; None where an image has none."""
    if first.sketch is None or second.sketch is None:
        return None
    return float(np.abs(first.sketch.astype(np.int16) - second.sketch.astype(np.int16)).mean())


def _same(other: Path, image: Path) -> str:
    return "the image too" if other == image else f"the same image as {other}"


def _with_contrast(places: Iterable[Place], examined: Mapping[Path, ExaminedImage]) -> Iterator[_Sketched]:
    """Yield the places whose image can be read and has contrast, with its sketch."""
    for place in places:
        sketch = examined[place[1]].sketch
        if sketch is not None and float(sketch.std()) >= _LEAST_CONTRAST:
            yield place, sketch


def _near(first: ExaminedImage, second: ExaminedImage) -> bool:
    difference = sketch_difference(first, second)
    return difference is not None and difference <= _NEAR_GREY


def _candidates(places: Sequence[_Sketched]) -> Iterator[tuple[int, int]]:
    """Pairs of numbers, the smaller first, that share a band of their hash; each pair once."""
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for number, ((split, _), sketch) in enumerate(places):
        for band, bits in enumerate(_hash_bands(sketch)):
            bucket = buckets[band, bits]
            for earlier in bucket:
                if (earlier, number) not in seen and places[earlier][0][0] != split:
                    seen.add((earlier, number))
                    yield earlier, number
            if len(bucket) < _LARGEST_BUCKET:
                bucket.append(number)


def _hash_bands(sketch: UInt8Array) -> list[bytes]:
    brighter = sketch[:, 1:] > sketch[:, :-1]
    return [np.packbits(rows).tobytes() for rows in np.array_split(brighter, _BANDS)]
