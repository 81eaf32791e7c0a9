"""Labelled data of any layout, found by looking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.label_errors import Report, refuse
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.split_lists import ListedPart, dataset_root
from ssd_edge.data.voc import find_voc, scan_voc, voc_splits
from ssd_edge.data.yolo import scan_yolo
from ssd_edge.data.yolo_yaml import read_yolo_yaml

_USUAL_SPLITS = ("train", "val", "valid", "test")
_OTHER_NAMES = {"val": ("valid",)}  # Roboflow's name for it
_YEAR = re.compile(r"[0-9]{4}$")
_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")


def open_dataset(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return a split of the data in ``folder``, whose layout is found by looking.

    Looked for, in this order: Pascal VOC (ImageSets/Main/<split>.txt, or <split>/*.xml), COCO
    (annotations/instances_<split>*.json, or <split>/_annotations.coco.json), YOLO (data.yaml). The split ``all`` of a
    VOC folder without lists is every annotation.

    Args:
        folder: of the data set, or its data.yaml.
        split: ``train``, ``val``, ``test`` or whatever the data set calls it; ``val`` finds ``valid`` too; or a part of
            a file of lists, such as ``runs/signs/split.json:val``.
        class_names: the classes in the order of their numbers; by default as the data states them.

    Raises:
        InputError: none of these is there, or the labels cannot be used; the message says what was looked for.
    """
    return scan_dataset(folder, split, class_names).checked()


def scan_dataset(
    folder: Path, split: str, class_names: Sequence[str] | None = None, report: Report = refuse
) -> ScannedSet:
    """Return what the label files of a split state; faults go to ``report``, and what has them is left out.

    Arguments as those of :func:`open_dataset`.

    Raises:
        InputError: there is no such split, or its list of pictures or of classes cannot be used.
    """
    listed = ListedPart.named(split)
    if listed is not None:
        lists = listed.read()
        scanned = scan_dataset(folder, lists.source, class_names, report)
        return listed.of(scanned, dataset_root(folder), lists)
    if folder.suffix in (".yaml", ".yml") and path_kind(folder) == "file":
        return scan_yolo(folder, split, class_names, report)
    _refuse_no_folder(folder)
    for name in (split, *_OTHER_NAMES.get(split, ())):
        if find_voc(folder, name) is not None:
            return scan_voc(folder, name, class_names, report)
        for instances in _coco_files(folder, name):
            return scan_coco(instances, _coco_images(folder, instances, name), class_names, report)
        for config in _yolo_files(folder):
            if name in read_yolo_yaml(config).splits:
                return scan_yolo(config, name, class_names, report)
    raise _nothing_found(folder, split)


def dataset_splits(folder: Path) -> tuple[str, ...]:
    """Return the splits to look at where none is named: those of train, val and test that are there, or else all.

    A VOC folder has ``trainval`` besides, which repeats two others.

    Raises:
        InputError: there is no such folder, or it holds no split of a known layout.
    """
    if path_kind(folder) == "file":
        found = tuple(read_yolo_yaml(folder).splits)
    else:
        _refuse_no_folder(folder)
        found = _splits_in(folder)
    usual = tuple(name for name in _USUAL_SPLITS if name in found)
    if not found:
        raise _nothing_found(folder, _USUAL_SPLITS[0])
    return usual or found


def _splits_in(folder: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(voc_splits(folder) + _coco_splits(folder) + _yolo_splits(folder)))


def _refuse_no_folder(folder: Path) -> None:
    kind = path_kind(folder)
    if kind != "folder":
        got = "nothing there" if kind == "absent" else f"a file that is no data.yaml: {folder.name}"
        raise InputError(f"{folder} is not a folder", got=got, wanted="a data set: a VOC, COCO or YOLO folder")


def _coco_splits(folder: Path) -> tuple[str, ...]:
    stems = [path.stem.removeprefix("instances_") for path in sorted(folder.glob("annotations/instances_*.json"))]
    beside = [path.parent.name for path in sorted(folder.glob("*/_annotations.coco.json"))]
    return tuple([_YEAR.sub("", stem) for stem in stems] + beside)


def _yolo_splits(folder: Path) -> tuple[str, ...]:
    return tuple(split for config in _yolo_files(folder) for split in read_yolo_yaml(config).splits)


def _coco_files(folder: Path, split: str) -> list[Path]:
    """At most one file per place; instances_train2017.json is the newest of several years."""
    exact = folder / "annotations" / f"instances_{split}.json"
    yearly = sorted((folder / "annotations").glob(f"instances_{split}[0-9][0-9][0-9][0-9].json"), reverse=True)
    beside = folder / split / "_annotations.coco.json"
    return [path for path in (exact, *yearly, beside) if path.is_file()]


def _coco_images(folder: Path, instances: Path, split: str) -> Path:
    """The folder that file names are relative to: named like the file's split, or the one that holds the file."""
    name = instances.stem.removeprefix("instances_")
    places = [folder / "images" / name, folder / name, folder / "images" / split, folder / split, folder / "images"]
    return instances.parent if name.startswith("_") else next((place for place in places if place.is_dir()), folder)


def _yolo_files(folder: Path) -> list[Path]:
    return [folder / name for name in _YAML_NAMES if (folder / name).is_file()]


def _nothing_found(folder: Path, split: str) -> InputError:
    looked_for = (
        f"ImageSets/Main/{split}.txt or {split}/*.xml (VOC)",
        f"annotations/instances_{split}*.json or {split}/_annotations.coco.json (COCO)",
        f"{' or '.join(_YAML_NAMES)} with the key {split!r} (YOLO)",
    )
    there = sorted(path.name for path in folder.iterdir())
    splits = ", ".join(_splits_in(folder))
    return InputError(
        f"{folder} holds no split {split!r} of a data set",
        got=", ".join(there[:8]) + (" …" if len(there) > 8 else "") or "an empty folder",
        wanted=", or ".join(looked_for),
        do=f"Its splits are: {splits}." if splits else "Name the folder that holds these.",
    )
