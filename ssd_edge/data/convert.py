"""Labelled images written anew in another format: the images that can be used, their objects, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import counted, log
from ssd_edge.core.names import file_slug
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import UNKNOWN_CLASS, LabelledObject, Sample
from ssd_edge.data.image_size import image_size
from ssd_edge.data.usable import UsableSet
from ssd_edge.data.writers import SetWriter, open_writer

_DIFFICULT = "YOLO's format cannot mark an object as difficult"
_READS_AS_FLAG = re.compile(r"\s-?[01]$")  # at the end of a name in a list of VOC


@dataclass(frozen=True)
class ConvertedSet:
    """Counts of what was written.

    Attributes:
        images, objects: how many, by split.
        class_names: in the order of their numbers.
        left_out: what could not be used, and what the format cannot say.
    """

    images: dict[str, int]
    objects: dict[str, int]
    class_names: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Entry:
    """One image on its way: where it lies, where it goes, and what is written of it."""

    split: str
    source: Path
    target: Path
    objects: tuple[LabelledObject, ...]


def write_converted(
    splits: dict[str, UsableSet], form: LabelFormat, folder: Path, *, link: bool = False, progress: Progress = silent
) -> ConvertedSet:
    """Write splits of a labelled set into an empty folder, each image beside or below its labels.

    Images keep their names and bytes; where two of different folders would meet, a digest is put behind the name. YOLO
    cannot mark objects as difficult: those that are labelled so are left out. An object that is faulty is difficult in
    the other formats, and with YOLO its image is left out: nobody is to learn it as background.

    Args:
        splits: what of each can be used, by names that folders can have.
        form: of the labels.
        folder: empty.
        link: make symbolic links to the images instead of copies.
        progress: called after each image.

    Raises:
        InputError: an image cannot be read any more.
        OSError: the folder cannot be written.
    """
    class_names = _all_classes(splits.values())
    writer = open_writer(form, folder, class_names)
    left_out: list[LeftOut] = []
    entries = list(_entries(splits, writer, form, left_out))
    for done, entry in enumerate(entries, start=1):
        _transfer(entry.source, entry.target, link=link)
        writer.add(entry.split, entry.target, image_size(entry.source), entry.objects)
        progress(done, len(entries))
    writer.close()
    images = Counter(entry.split for entry in entries)
    objects = {split: sum(len(entry.objects) for entry in entries if entry.split == split) for split in images}
    unusable = [item for usable in splits.values() for item in usable.labelled.left_out]
    return ConvertedSet(dict(images), objects, class_names, (*unusable, *left_out))


def check_target(target: Path, dataset: Path) -> None:
    """Refuse a folder that holds something, or that lies in the data set, or around it.

    Raises:
        InputError: it is one of these.
    """
    if path_kind(target) not in ("folder", "absent"):
        raise InputError(
            f"{target} is a file", wanted="a new or empty folder", do="Choose another folder: --output DIR"
        )
    place, data = target.resolve(), dataset.resolve()
    if place == data or place in data.parents or data in place.parents:
        raise InputError(
            f"the output folder {target} contains the data set {dataset}, or lies inside it",
            wanted="an output folder outside of the data set, which is not changed",
            do="Choose another folder: --output DIR",
        )
    count = len(list(target.iterdir())) if target.is_dir() else 0
    if count:
        raise InputError(
            f"{target} is not empty",
            got=f"{count} files and folders",
            wanted="a new or empty folder",
            do="Choose another folder with --output DIR, or delete this one first.",
        )


def _all_classes(sets: Iterable[UsableSet]) -> tuple[str, ...]:
    """The classes of the first split, and behind them those that only others have."""
    return tuple(dict.fromkeys(name for usable in sets for name in usable.labelled.class_names))


def _entries(
    splits: dict[str, UsableSet], writer: SetWriter, form: LabelFormat, left_out: list[LeftOut]
) -> Iterator[_Entry]:
    stems = _stems([sample.image for usable in splits.values() for sample in usable.labelled.samples])
    for split, usable in splits.items():
        for sample, objects in _writable(usable, form, left_out):
            target = writer.image_path(split, stems[sample.image], sample.image.suffix)
            yield _Entry(split, sample.image, target, objects)


def _writable(
    usable: UsableSet, form: LabelFormat, left_out: list[LeftOut]
) -> Iterator[tuple[Sample, tuple[LabelledObject, ...]]]:
    """Each image once, with the objects that the format can hold; all else goes to ``left_out``, and is logged."""
    marks_difficult = form is not LabelFormat.YOLO
    faulty = {found.fault.image: found.fault for found in usable.findings if found.consequence == "object"}
    difficult = []
    for sample in {sample.image: sample for sample in usable.labelled.samples}.values():
        fault = faulty.get(sample.image)
        if fault is not None and (not marks_difficult or UNKNOWN_CLASS in sample.class_ids):
            left_out.append(LeftOut(str(sample.image), f"an object that {form.value} cannot hold: {fault.what}"))
            log.warning(f"{left_out[-1]}; the image is left out")
            continue
        objects = _objects(sample, usable.labelled.class_names)
        unmarked = [found for found in objects if found.difficult and not marks_difficult]
        difficult += [LeftOut(f"{sample.image}: {found.label}", _DIFFICULT) for found in unmarked]
        yield sample, tuple(found for found in objects if found not in unmarked)
    if difficult:
        log.warning(f"{usable.labelled.origin}: {counted(len(difficult), 'object')} left out: {_DIFFICULT}")
    left_out += difficult


def _objects(sample: Sample, class_names: Sequence[str]) -> tuple[LabelledObject, ...]:
    rows = zip(sample.class_ids.tolist(), sample.boxes.tolist(), sample.areas, sample.difficult, strict=True)
    return tuple(
        LabelledObject(class_names[number], (box[0], box[1], box[2], box[3]), float(area), bool(difficult))
        for number, box, area, difficult in rows
    )


def _stems(images: Sequence[Path]) -> dict[Path, str]:
    """A name for each image without its suffix: its own, where no list misreads it and no other image has it."""
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    for image in dict.fromkeys(images):
        own = image.stem
        sound = own.isprintable() and own == own.strip() and not _READS_AS_FLAG.search(own)
        stem = own if sound else file_slug(own)
        if stem.casefold() in taken:
            stem = file_slug(f"{stem}\0{image}")
        stems[image] = stem
        taken.add(stem.casefold())
    return stems


def _transfer(source: Path, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)
