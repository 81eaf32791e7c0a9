"""Labelled data of any layout, found by looking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.data.coco import read_coco
from ssd_edge.data.sample import LabelledSet
from ssd_edge.data.voc import read_voc
from ssd_edge.data.yolo import read_yolo
from ssd_edge.data.yolo_yaml import read_yolo_yaml

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")


def open_dataset(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return a split of the data in ``folder``, whose layout is found by looking.

    Looked for, in this order: Pascal VOC (ImageSets/Main/<split>.txt), COCO (annotations/instances_<split>*.json, or
    <split>/_annotations.coco.json), YOLO (data.yaml).

    Args:
        folder: of the data set, or its data.yaml.
        split: ``train``, ``val``, ``test`` or whatever the data set calls it.
        class_names: the classes in the order of their numbers; by default as the data states them.

    Raises:
        InputError: none of these is there, or the labels cannot be used; the message says what was looked for.
    """
    if folder.suffix in (".yaml", ".yml") and folder.is_file():
        return read_yolo(folder, split, class_names)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", wanted="a data set: a VOC, COCO or YOLO folder")
    if _voc_list(folder, split).is_file():
        return read_voc(folder, split, class_names)
    for instances in _coco_files(folder, split):
        return read_coco(instances, _coco_images(folder, instances, split), class_names)
    for config in _yolo_files(folder):
        if split in read_yolo_yaml(config).splits:
            return read_yolo(config, split, class_names)
    raise _nothing_found(folder, split)


def _voc_list(folder: Path, split: str) -> Path:
    return folder / "ImageSets" / "Main" / f"{split}.txt"


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
        f"ImageSets/Main/{split}.txt (VOC)",
        f"annotations/instances_{split}*.json or {split}/_annotations.coco.json (COCO)",
        f"{' or '.join(_YAML_NAMES)} with the key {split!r} (YOLO)",
    )
    there = sorted(path.name for path in folder.iterdir())
    return InputError(
        f"{folder} holds no split {split!r} of a data set",
        got=", ".join(there[:8]) + (" …" if len(there) > 8 else "") or "an empty folder",
        wanted=", or ".join(looked_for),
        do="Name the folder that holds these, or another split.",
    )
