"""Calibration sets: few pictures that show what the camera will show, chosen from many, and written down."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import file_digest, text_digest, written_beside
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import UNKNOWN_CLASS, BoolArray
from ssd_edge.core.shell import quoted
from ssd_edge.data.find import open_dataset
from ssd_edge.quantization.image_choice import ImageChoice

SET_FORMAT = "ssd-edge/calibration-set/1"
_FORM = Format(SET_FORMAT, "calibration set", "Choose the images anew: ssd-edge calibrate --images FOLDER")
SET_SUFFIX = ".images.json"
JUDGED_SPLITS = ("test",)
_LOOKED_AT = 4096  # of more pictures, a seeded sample is looked at
_THUMBNAIL = 8


def thumbnails(paths: Sequence[Path], progress: Progress) -> FloatArray:
    """Return (N, 192) colours of 8 x 8 pictures; their reading finds every unreadable file before the work begins."""
    rows = []
    with ThreadPoolExecutor() as pool:
        for done, row in enumerate(pool.map(_thumbnail, paths), start=1):
            rows.append(row)
            progress(done, len(paths), "looking at pictures")
    return np.stack(rows)


def _thumbnail(path: Path) -> FloatArray:
    small = cv2.resize(read_image(path), (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
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
    """Which pictures, and how they were chosen.

    Attributes:
        source: folder or data set they come from.
        split: of the data set; empty for a folder of pictures.
        seed: of the choice.
        images: their files, in the order of choice: the first n are the best n.
        digests: ``sha256:…`` of each file.
        kept: the files are copies that belong to the list: it says where they lie seen from its own folder.
    """

    source: str
    split: str
    seed: int
    images: tuple[str, ...]
    digests: tuple[str, ...]
    kept: bool = False
    format: str = SET_FORMAT

    @property
    def digest(self) -> str:
        """``sha256:…`` of the pictures' contents, in any order."""
        return text_digest("\n".join(sorted(self.digests)))

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [Path(image) for image in self.images]

    def to_json(self, folder: Path) -> str:
        """Return the recipe and the list as indented JSON for a file in ``folder``."""
        images = [os.path.relpath(image, folder) for image in self.images] if self.kept else self.images
        return json.dumps({**asdict(self), "images": images}, indent=1) + "\n"

    def copied(self, folder: Path, place: Path) -> ImageSet:
        """Copy the pictures into ``folder``, in the order of choice; return the set of what will lie in ``place``."""
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
        """Read a set; its pictures are not looked at.

        Raises:
            ArtifactError: it is missing, damaged or of another version of the format.
        """
        made = read_artifact(path, cls, _FORM, optional=frozenset({"kept"}))
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
        """Raise InputError where a picture is gone or has changed since it was chosen (into ``path``)."""
        for image, digest in zip(self.paths, self.digests, strict=True):
            found = file_digest(image) if image.is_file() else "no such file"
            if found != digest:
                raise InputError(
                    f"{image} of {path} is not the picture that was chosen",
                    got=found,
                    wanted=digest,
                    do=f"Choose anew: ssd-edge calibrate --images {quoted(self.source)}",
                )


def choose_images(
    source: Path,
    *,
    split: str = ImageChoice.split,
    limit: int = ImageChoice.limit,
    seed: int = ImageChoice.seed,
    progress: Progress = silent,
) -> ImageSet:
    """Return at most ``limit`` pictures of a folder or of a data set's split, as different as can be.

    One after the other the picture is taken that is farthest from all taken so far (k-centre greedy, on thumbnails);
    where there are labels, among those that show the class of which the fewest pictures were taken. The same source
    and seed give the same pictures, and fewer of them are the first of more.

    Raises:
        InputError: no pictures, one that cannot be read, or a split that models are judged on.
    """
    paths, classes = _candidates(source, split)
    generator = np.random.default_rng(seed)
    looked_at = np.sort(generator.permutation(len(paths))[:_LOOKED_AT])
    rows = thumbnails([paths[number] for number in looked_at], progress)
    shown = [classes[number] for number in looked_at]
    order = spread(rows, shown, min(limit, len(looked_at)), int(generator.integers(len(looked_at))))
    chosen = [paths[looked_at[number]] for number in order]
    return ImageSet(
        source=str(source),
        split=split if any(shown) or not _is_folder_of_images(source) else "",
        seed=seed,
        images=tuple(str(path) for path in chosen),
        digests=tuple(file_digest(path) for path in chosen),
    )


def _candidates(source: Path, split: str) -> tuple[list[Path], list[frozenset[int]]]:
    """Return the pictures and the classes that each shows; none where there are no labels."""
    if _is_folder_of_images(source):
        images = list_images(source)
        return images, [frozenset()] * len(images)
    if split in JUDGED_SPLITS:
        raise InputError(
            f"the split {split!r} of {source} is what models are judged on",
            wanted="other pictures for calibration, or the accuracy of the INT8 model would be flattered",
            do="Take the pictures that it learnt from: --split train",
        )
    labelled = open_dataset(source, split)
    if not labelled.samples:
        raise InputError(f"{labelled.origin} holds no images", wanted="at least one")
    return [entry.image for entry in labelled.samples], [
        frozenset(entry.class_ids[entry.class_ids != UNKNOWN_CLASS].tolist()) for entry in labelled.samples
    ]


def _is_folder_of_images(source: Path) -> bool:
    """Tell a folder of pictures from a data set, whose pictures lie deeper."""
    if not source.is_dir():
        return False
    try:
        list_images(source)
    except InputError:
        return not any(source.iterdir())
    return True
