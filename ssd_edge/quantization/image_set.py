"""Calibration sets: few images that show what the camera will show, chosen from many, and written down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, InputError, keyword
from ssd_edge.core.files import file_digest, is_file, text_digest, written_beside
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import counted, log
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import UNKNOWN_CLASS, BoolArray
from ssd_edge.core.shell import quoted
from ssd_edge.core.tolerance import TOLERANT, Tolerance
from ssd_edge.data.find import open_dataset
from ssd_edge.quantization.image_choice import ImageChoice

SET_FORMAT = "ssd-edge/calibration-set/1"
_FORM = Format(SET_FORMAT, "calibration set", "Choose the images again: ssd-edge calibrate --images FOLDER")
SET_SUFFIX = ".images.json"
EVALUATION_SPLITS = ("test",)
_LOOKED_AT = 4096  # of more images, a seeded sample is looked at
_THUMBNAIL = 8


def thumbnails(paths: Sequence[Path], progress: Progress) -> list[FloatArray | InputError]:
    """Return (192,) colors of 8 x 8 pixels, or why an image cannot be read: found before the work begins."""
    rows = []
    with ThreadPoolExecutor() as pool:
        for done, row in enumerate(pool.map(_thumbnail, paths), start=1):
            rows.append(row)
            progress(done, len(paths), "looking at images")
    return rows


def _thumbnail(path: Path) -> FloatArray | InputError:
    try:
        image = read_image(path)
    except InputError as error:
        return error
    small = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(-1)


def spread(rows: FloatArray, shown: Sequence[frozenset[int]], count: int, first: int) -> list[int]:
    """Return ``count`` rows, each the farthest from those before; classes that were taken least come first."""
    taken = dict.fromkeys(set().union(*shown), 0)
    distance = np.full(len(rows), np.inf)
    free = np.ones(len(rows), bool)
    order: list[int] = []
    number = first
    while True:
        order.append(number)
        free[number] = False
        for label in shown[number]:
            taken[label] += 1
        if len(order) == count:
            return order
        distance = np.minimum(distance, ((rows - rows[number]) ** 2).sum(axis=1))
        wanted = _with_rarest(shown, taken, free)
        number = int(np.argmax(np.where(wanted, distance, -1)))


def _with_rarest(shown: Sequence[frozenset[int]], taken: dict[int, int], free: BoolArray) -> BoolArray:
    """Return which free rows show the class that was taken least; all free ones where there are no classes."""
    for label in sorted(taken, key=lambda entry: (taken[entry], entry)):
        wanted: BoolArray = free & np.array([label in classes for classes in shown])
        if wanted.any():
            return wanted
    return free


@dataclass(frozen=True)
class ImageSet:
    """Calibration images, and how they were chosen.

    Attributes:
        source: folder or data set they come from.
        split: of the data set; empty for a folder of images.
        seed: of the choice.
        images: their files, in the order of choice: the first n are the best n.
        digests: ``sha256:…`` of each file.
        kept: the files are copies that belong to the list: it says where they lie seen from its own folder.
        left_out: what could not be used when they were chosen; not written.
    """

    source: str
    split: str
    seed: int
    images: tuple[str, ...]
    digests: tuple[str, ...]
    kept: bool = False
    format: str = SET_FORMAT
    left_out: tuple[LeftOut, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the images' contents, in any order."""
        return text_digest("\n".join(sorted(self.digests)))

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [Path(image) for image in self.images]

    def to_json(self, folder: Path) -> str:
        """Return the recipe and the list as indented JSON for a file in ``folder``."""
        images = [os.path.relpath(image, folder) for image in self.images] if self.kept else self.images
        fields = {**asdict(self), "images": images}
        del fields["left_out"]
        return json.dumps(fields, indent=1) + "\n"

    def copied(self, folder: Path, place: Path) -> ImageSet:
        """Copy the images into ``folder``, in the order of choice; return the set of what will lie in ``place``."""
        names = [f"{number:04}{path.suffix.lower()}" for number, path in enumerate(self.paths)]
        for name, path in zip(names, self.paths, strict=True):
            shutil.copyfile(path, folder / name)
        return replace(self, images=tuple(str(place / name) for name in names), kept=True)

    def save(self, path: Path) -> None:
        """Write the recipe and the list as JSON, whole or not at all."""
        with written_beside(path) as partial:
            partial.write_text(self.to_json(path.parent), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ImageSet:
        """Read a set; its images are not looked at.

        Raises:
            ArtifactError: it is missing, damaged or of another version of the format.
        """
        made = read_artifact(path, cls, _FORM, optional=frozenset({"kept", "left_out"}))
        if not made.images or len(made.images) != len(made.digests):
            raise ArtifactError(
                f"{path} is a damaged {_FORM.what}",
                got=f"{len(made.images)} images and {len(made.digests)} digests",
                wanted=SET_FORMAT,
                do=_FORM.do,
            )
        if made.kept:
            return replace(made, images=tuple(str(path.parent / image) for image in made.images))
        return made

    def refuse_if_changed(self, path: Path) -> None:
        """Raise InputError where an image is gone or has changed since it was chosen (into ``path``)."""
        for image, digest in zip(self.paths, self.digests, strict=True):
            found = file_digest(image) if is_file(image) else "no file"
            if found != digest:
                raise InputError(
                    f"{image} has changed since it was chosen (listed in {path})",
                    got=found,
                    wanted=digest,
                    do=f"Choose again: ssd-edge calibrate --images {quoted(self.source)}",
                )


def choose_images(
    source: Path,
    *,
    split: str = ImageChoice.split,
    limit: int = ImageChoice.limit,
    seed: int = ImageChoice.seed,
    tolerance: Tolerance = TOLERANT,
    progress: Progress = silent,
) -> ImageSet:
    """Return at most ``limit`` images of a folder or of a data set's split, as different as can be.

    One after the other the image is taken that is farthest from all taken so far (k-center greedy, on thumbnails);
    where there are labels, among those that show the class of which the fewest images were taken. The same source
    and seed give the same images, and fewer of them are the first of more.

    Images that cannot be read are left out and named.

    Raises:
        InputError: no images, more of them than are tolerated cannot be read, or a split that models are evaluated on.
    """
    paths, classes, left_out = _candidates(source, split, tolerance)
    generator = np.random.default_rng(seed)
    looked_at = np.sort(generator.permutation(len(paths))[:_LOOKED_AT])
    found = thumbnails([paths[number] for number in looked_at], progress)
    left_out += _unreadable([paths[number] for number in looked_at], found, tolerance)
    rows = np.stack([row for row in found if not isinstance(row, InputError)])
    looked_at = looked_at[[not isinstance(row, InputError) for row in found]]
    shown = [classes[number] for number in looked_at]
    order = spread(rows, shown, min(limit, len(looked_at)), int(generator.integers(len(looked_at))))
    chosen = [paths[looked_at[number]] for number in order]
    return ImageSet(
        source=str(source),
        split=split if any(shown) or not _is_folder_of_images(source) else "",
        seed=seed,
        images=tuple(str(path) for path in chosen),
        digests=tuple(file_digest(path) for path in chosen),
        left_out=left_out,
    )


def _unreadable(
    paths: Sequence[Path], found: Sequence[FloatArray | InputError], tolerance: Tolerance
) -> tuple[LeftOut, ...]:
    """Name the images that cannot be read.

    Raises:
        InputError: there are more of them than may be left out.
    """
    faults = [(path, row) for path, row in zip(paths, found, strict=True) if isinstance(row, InputError)]
    if faults and tolerance.strict:
        raise faults[0][1]
    bad, share = len(faults), len(faults) / len(paths)
    if share > tolerance.max_bad or bad == len(paths):
        raise InputError(
            f"{bad} of {len(paths)} images cannot be used",
            got=f"{share:.0%} of the images; the first: {faults[0][1]}".rstrip("."),
            wanted=f"at most {tolerance.max_bad:.0%} of the images",
            do="" if bad == len(paths) else f"Use the rest anyway: {keyword('max_bad', f'{share + 0.005:.2f}')}",
        )
    for _, error in faults:
        log.warning(f"{error}; it is left out")
    if faults:
        log.warning(f"{bad} of {counted(len(paths), 'calibration image')} cannot be read and are left out")
    return tuple(LeftOut(str(path), error.what.removeprefix(str(path)).strip()) for path, error in faults)


def _candidates(
    source: Path, split: str, tolerance: Tolerance
) -> tuple[list[Path], list[frozenset[int]], tuple[LeftOut, ...]]:
    """Return the images, the classes that each shows (none where there are no labels), and what cannot be used."""
    if _is_folder_of_images(source):
        images = list_images(source)
        return images, [frozenset()] * len(images), ()
    if split in EVALUATION_SPLITS:
        raise InputError(
            f"the split {split!r} of {source} is used for evaluation, so it cannot be used for calibration",
            wanted="images on which no model is evaluated",
            do="Use the training images: --split train",
        )
    labelled = open_dataset(source, split, tolerance=tolerance)
    if not labelled.samples:
        raise InputError(f"{labelled.origin} contains no images", wanted="at least one image")
    images = [entry.image for entry in labelled.samples]
    classes = [frozenset(entry.class_ids[entry.class_ids != UNKNOWN_CLASS].tolist()) for entry in labelled.samples]
    return images, classes, labelled.left_out


def _is_folder_of_images(source: Path) -> bool:
    """Return whether it is a folder of images; images of a data set are in subfolders."""
    if not source.is_dir():
        return False
    try:
        list_images(source)
    except InputError:
        return not any(source.iterdir())
    return True
