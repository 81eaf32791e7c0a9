"""Divides labelled images into a training and a validation set that share no scene and have the classes alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import IntArray
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import Progress, silent
from ssd_edge.data.find import scan_dataset
from ssd_edge.data.lint.duplicates import near_pairs, sketch_difference
from ssd_edge.data.lint.images import ExaminedImage, examine_images
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.split_lists import SplitLists, dataset_root, relative_name

Float64Array = npt.NDArray[np.float64]

_ROBOFLOW = re.compile(r"(.+)\.rf\.[0-9a-f]{16,}$")  # copies that it made of one image have its name
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)$")
_BURST_GREY = 8.0  # in the mean of 256 levels: what passes before a camera that stands still
_BURST_GAP = 10  # frames that an extraction leaves out
_STARTS, _EXCHANGES, _LOOKED_AT = 4, 200, 48
_LARGEST_SHARE = 0.5  # of the images; a group that is larger is cut into stretches
_STRETCHES = 10


@dataclass(frozen=True)
class DividedSet:
    """A split that was divided.

    Attributes:
        lists: what is in which part.
        images: of the whole.
        scenes: groups of images that lie on one side.
        cut: images of scenes that were so large that both sides have some: with them validation is too optimistic.
        unvalidated: classes without an object in the validation set: all that they have are of one scene, or too few.
        left_out: images that cannot be read; they are in no part.
    """

    lists: SplitLists
    images: int
    scenes: int
    cut: int
    unvalidated: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def divide_dataset(
    dataset: Path,
    source: str,
    class_names: Sequence[str] | None = None,
    *,
    fractions: Mapping[str, float],
    seed: int,
    progress: Progress = silent,
) -> DividedSet:
    """Divide a split of a data set into ``train`` and other parts that share no scene; see :func:`divide`.

    Args:
        dataset: folder or data.yaml.
        source: the split to divide.
        class_names: the classes; by default the data's.
        fractions: the share of the images of each part but ``train``, e.g. ``{"val": 0.2}``.
        seed: the same gives the same parts.
        progress: receives every image that was looked at.

    Raises:
        InputError: the split cannot be read, or has too few images.
    """
    scanned = scan_dataset(dataset, source, class_names)
    images = [entry.image for entry in scanned.images]
    examined = examine_images(images, pixels=True, progress=progress)
    usable = np.array([number for number, image in enumerate(images) if not examined[image].fault], np.int64)
    counts, cut, scene_count = _object_counts(scanned), 0, 0
    parts: dict[str, dict[str, str]] = {}
    left, share_left, unvalidated = usable, 1.0, tuple[str, ...]()
    for part, fraction in fractions.items():
        chosen = divide([images[n] for n in left], examined, counts[left], fraction=fraction / share_left, seed=seed)
        parts[part] = _listed([images[n] for n in left[chosen.validation]], examined, dataset)
        scene_count, cut = max(scene_count, int(chosen.groups.max(initial=-1)) + 1), max(cut, chosen.cut)
        unvalidated = _without_objects(counts[left[chosen.validation]], counts, scanned.class_names)
        left, share_left = left[~chosen.validation], share_left - fraction
    parts["train"] = _listed([images[n] for n in left], examined, dataset)
    if not all(parts.values()):
        raise InputError(
            f"{scanned.origin} is too small to divide",
            got=f"{len(usable)} images in {scene_count} scenes",
            wanted=f"at least one scene for each of {', '.join(parts)}",
            do="Add labelled images, or validate on the training images: --val-split " + source,
        )
    left_out = tuple(LeftOut(str(image), examined[image].fault) for image in images if examined[image].fault)
    return DividedSet(SplitLists(source, seed, parts), len(images), scene_count, cut, unvalidated, left_out)


def _listed(images: Sequence[Path], examined: Mapping[Path, ExaminedImage], dataset: Path) -> dict[str, str]:
    root = dataset_root(dataset)
    return {relative_name(image, root): examined[image].digest for image in images}


def _object_counts(scanned: ScannedSet) -> IntArray:
    """Return the (N, C) number of objects of each class in each image, difficult ones left out."""
    numbers = {name: number for number, name in enumerate(scanned.class_names)}
    counts = np.zeros((len(scanned.images), len(numbers)), np.int64)
    for row, entry in zip(counts, scanned.images, strict=True):
        for found in entry.objects:
            if not found.difficult and found.label in numbers:
                row[numbers[found.label]] += 1
    return counts


def _without_objects(chosen: IntArray, whole: IntArray, names: Sequence[str]) -> tuple[str, ...]:
    missing = (chosen.sum(axis=0) == 0) & (whole.sum(axis=0) > 0)
    return tuple(name for name, absent in zip(names, missing.tolist(), strict=True) if absent)


@dataclass(frozen=True)
class Division:
    """Selection of the validation images.

    Attributes:
        validation: (N,) bool.
        groups: (N,) number of the scene that each image belongs to.
        cut: images of scenes that were so large that they had to be cut: both sides have images of them.
    """

    validation: npt.NDArray[np.bool_]
    groups: IntArray
    cut: int


def divide(
    images: Sequence[Path],
    examined: Mapping[Path, ExaminedImage],
    objects: IntArray,
    *,
    fraction: float,
    seed: int,
) -> Division:
    """Choose images to validate on: of whole scenes, with about the same share of each class's objects.

    A scene is what must lie on one side: equal files, near copies, frames of one camera shortly after one another
    (numbered names, and little that changes), and the copies that Roboflow makes of an image. A class of a single scene
    stays in the training set.

    Args:
        images: N files.
        examined: digest and sketch of each.
        objects: (N, C) number of objects of each class.
        fraction: share of the images to validate on, 0 to 1.
        seed: the same gives the same division.
    """
    groups, cut = _cut_large(images, scenes(images, examined))
    validation = _balanced(groups, objects, fraction, np.random.default_rng(seed))
    return Division(validation, groups, cut)


def scenes(images: Sequence[Path], examined: Mapping[Path, ExaminedImage]) -> IntArray:
    """Return the (N,) number of each image's scene, counted from 0 in the order of the images."""
    joined = _Union(len(images))
    for keyed in (_digest_keys(images, examined), _roboflow_keys(images)):
        first: dict[Hashable, int] = {}
        for number, key in keyed:
            joined.join(first.setdefault(key, number), number)
    for one, other in near_pairs(images, examined):
        joined.join(one, other)
    for one, other in _bursts(images, examined):
        joined.join(one, other)
    return joined.numbers()


def _digest_keys(images: Sequence[Path], examined: Mapping[Path, ExaminedImage]) -> Iterable[tuple[int, Hashable]]:
    return ((number, examined[image].digest) for number, image in enumerate(images) if examined[image].digest)


def _roboflow_keys(images: Sequence[Path]) -> Iterable[tuple[int, Hashable]]:
    for number, image in enumerate(images):
        found = _ROBOFLOW.match(image.stem)
        if found:
            yield number, found[1]


def _bursts(images: Sequence[Path], examined: Mapping[Path, ExaminedImage]) -> Iterable[tuple[int, int]]:
    """Yield neighbors in sequences of numbered files that show nearly the same."""
    sequences: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    for number, image in enumerate(images):
        found = _NUMBERED.match(image.stem)
        if found:
            sequences[image.parent, found[1], found[3]].append((int(found[2]), number))
    for sequence in sequences.values():
        ordered = sorted(sequence)
        for (place, one), (next_place, other) in pairwise(ordered):
            difference = sketch_difference(examined[images[one]], examined[images[other]])
            if next_place - place <= _BURST_GAP and difference is not None and difference <= _BURST_GREY:
                yield one, other


class _Union:
    """Disjoint sets of numbers."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, one: int, other: int) -> None:
        """Put two into one set."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first

    def numbers(self) -> IntArray:
        """Return the number of each one's set."""
        roots = [self._root(number) for number in range(len(self._parent))]
        order = {root: place for place, root in enumerate(dict.fromkeys(roots))}
        return np.array([order[root] for root in roots], np.int64)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


def _cut_large(images: Sequence[Path], groups: IntArray) -> tuple[IntArray, int]:
    """Return the groups with those that hold most of the images cut into stretches of neighbors by name."""
    counts, numbers = np.bincount(groups), groups.copy()
    cut, following = 0, int(groups.max()) + 1
    for large in np.flatnonzero(counts > _LARGEST_SHARE * len(images)):
        members = sorted(np.flatnonzero(groups == large).tolist(), key=lambda number: _natural(images[number]))
        for stretch in np.array_split(np.array(members), min(_STRETCHES, len(members))):
            numbers[stretch] = following
            following += 1
        cut += len(members)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64), cut


def _natural(image: Path) -> tuple[str, list[tuple[bool, int, str]]]:
    """Sort key by which frame 10 follows frame 9."""
    parts = re.findall(r"\d+|\D+", image.name)
    return str(image.parent), [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _balanced(groups: IntArray, objects: IntArray, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return the images of those groups that come nearest to the fraction of the images and of each class."""
    sizes = _per_group(groups, np.concatenate([np.ones((len(groups), 1), np.int64), objects], axis=1))
    shares = sizes / np.maximum(sizes.sum(axis=0), 1)
    tried = [_improved(_filled(shares, fraction, rng), shares, fraction, rng) for _ in range(_STARTS)]
    best = min(tried, key=lambda chosen: float(_distance(shares[chosen].sum(axis=0)[None], fraction)[0]))
    return np.asarray(best[groups])


def _filled(shares: Float64Array, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Take groups in a random order while they bring the number of images nearer to the fraction."""
    chosen, taken = np.zeros(len(shares), np.bool_), np.zeros(shares.shape[1])
    for number in rng.permutation(len(shares)):
        more = taken + shares[number]
        if abs(more[0] - fraction) < abs(taken[0] - fraction) and _leaves_some(more[None], shares[number][None])[0]:
            chosen[number], taken = True, more
    return chosen


def _improved(
    chosen: npt.NDArray[np.bool_], shares: Float64Array, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Exchange a group for another, or move one, as long as that brings the shares nearer to the fraction."""
    chosen = chosen.copy()
    for _ in range(_EXCHANGES):
        taken = shares[chosen].sum(axis=0)
        now = float(_distance(taken[None], fraction)[0])
        out = rng.permutation(np.flatnonzero(chosen))[:_LOOKED_AT]
        into = rng.permutation(np.flatnonzero(~chosen))[:_LOOKED_AT]
        gone = np.concatenate([np.zeros((1, shares.shape[1])), shares[out]])
        come = np.concatenate([np.zeros((1, shares.shape[1])), shares[into]])
        after = taken - gone[:, None] + come[None]
        costs = np.where(_leaves_some(after, come[None]), _distance(after, fraction), np.inf)
        first, second = np.unravel_index(int(costs.argmin()), costs.shape)
        if costs[first, second] >= now - 1e-12:
            break
        chosen[out[first - 1 : first]] = False
        chosen[into[second - 1 : second]] = True
    return chosen


def _leaves_some(taken: Float64Array, added: Float64Array) -> npt.NDArray[np.bool_]:
    """Whether of each class that is added something is left to train on."""
    return np.asarray(((taken < 1 - 1e-9) | (added == 0)).all(axis=-1))


def _distance(taken: Float64Array, fraction: float) -> Float64Array:
    """Distance of shares (…, 1 + C) from the fraction; images weigh as much as all classes together."""
    away = np.square(taken - fraction)
    return np.asarray(away[..., 0] + (away[..., 1:].mean(axis=-1) if away.shape[-1] > 1 else 0.0))


def _per_group(groups: IntArray, counts: IntArray) -> Float64Array:
    sums = np.zeros((int(groups.max()) + 1, counts.shape[1]))
    np.add.at(sums, groups, counts)
    return sums
