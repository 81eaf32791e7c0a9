"""Discovery of YOLO data: a data.yaml, darknet's obj.data, or image folders with text files and a class list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import list_images
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.log import log
from ssd_edge.data.label_files import (
    files_named,
    inner_path,
    is_there,
    list_image_names,
    missing_image,
    read_class_file,
    read_label_lines,
    read_label_text,
    seen_kind,
)
from ssd_edge.data.layouts.split import IMAGE_FOLDERS, WHOLE_SET, FoundSplit, split_folders, subfolder
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.yolo import RowFormat, YoloSplit, label_path, scan_yolo
from ssd_edge.data.yolo_yaml import YoloConfig, read_yolo_yaml

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
"""Usual name of the file; any other YAML with ``names`` and a split works too."""

_CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "labels.txt", "*.names")
_LISTS = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_UP = "../"
_CVAT_FOLDER = "data/"  # CVAT's lists begin with it, its archives do not
_MAX_LIST_BYTES = 1 << 30  # a list of all images of a split
_MAX_YAML_BYTES = 1 << 20


def yolo_splits(folder: Path) -> dict[str, FoundSplit]:
    """Return the splits of a folder as YOLO, by name; none where it is not.

    Recognized, in this order: a YAML with ``names`` and ``train``, ``val`` or ``test``; ``obj.data`` (darknet, CVAT);
    lists ``train.txt``, ``val.txt`` … beside a list of classes; ``images/<split>`` and ``labels/<split>``, or
    ``<split>/images`` and ``<split>/labels``, or ``<split>`` with both side by side; and without splits ``images`` and
    ``labels``, or both in one folder.
    """
    config = _yaml_in(folder)
    if config is not None:
        return yaml_splits(config)
    return _darknet_splits(folder) or _folder_splits(folder)


def yaml_splits(path: Path) -> dict[str, FoundSplit]:
    """Return the splits of a data.yaml.

    Raises:
        InputError: it cannot be used.
    """
    config = read_yolo_yaml(path)
    return {split: FoundSplit("YOLO", partial(_scan_yaml, path, config, split)) for split in config.splits}


def _yaml_in(folder: Path) -> Path | None:
    usual = next((folder / name for name in YAML_NAMES if seen_kind(folder / name) == "file"), None)
    if usual is not None:
        return usual
    return next((path for path in files_named(folder, "*.y*ml") if _is_data_yaml(path)), None)


def _is_data_yaml(path: Path) -> bool:
    try:
        return bool(read_yolo_yaml(path).splits)
    except InputError:
        return False


def _scan_yaml(path: Path, config: YoloConfig, split: str, class_names: Sequence[str] | None) -> ScannedSet:
    lost: list[LabelError] = []
    root = _root(path, config)
    images = [image for entry in config.splits[split] for image in _images_of(path, root, split, entry, lost)]
    form = RowFormat(config.class_names, config.pose)
    return scan_yolo(YoloSplit(tuple(images), form, f"YOLO {path}, split {split}", tuple(lost)), class_names)


def _root(path: Path, config: YoloConfig) -> Path:
    """``path`` of the YAML; where that is not there, as on the machine that wrote it, the folder of the YAML."""
    if path_kind(config.root) == "folder":
        return config.root
    log.info(
        f"{path}: the folder of its key 'path', {config.root}, does not exist; looking for its splits in {path.parent}"
    )
    return path.parent


def _images_of(path: Path, root: Path, split: str, entry: str, lost: list[LabelError]) -> list[Path]:
    place = _split_place(path, root, split, entry)
    if place.suffix == ".txt":
        return listed_images(place, root, lost)
    return list_images(place, below=True)


def _split_place(path: Path, root: Path, split: str, entry: str) -> Path:
    """Return the folder of a split. Roboflow writes ``../train/images`` and means ``train/images`` beside data.yaml.

    As Ultralytics reads it: one ``../`` is followed if something is there, else left away. A second one is refused.
    """
    try:
        if not entry.startswith(_UP):
            inside = inner_path(root, entry, origin=path, root=root)
            return inside if is_there(inside) else inner_path(path.parent, entry, origin=path, root=root)
        beside = inner_path(root / _UP, entry.removeprefix(_UP), origin=path)
        return inner_path(root, entry.removeprefix(_UP), origin=path) if path_kind(beside) == "absent" else beside
    except LabelError as error:
        raise InputError(
            error.what,
            got=f"{split}: {entry}"[:200],
            wanted=error.wanted,
            do=f"In {path.name}, correct '{split}:', or set 'path:' to the folder that '{split}:' is relative to.",
        ) from error


def listed_images(place: Path, root: Path, lost: list[LabelError]) -> list[Path]:
    """Return the images that a list names; names that are none go to ``lost``.

    Raises:
        LabelError: the list cannot be read.
    """
    images = []
    for line in read_label_lines(place, limit_bytes=_MAX_LIST_BYTES):
        try:
            if name := line.strip().replace("\\", "/").removeprefix("./"):
                images.append(_listed_image(name, place, root))
        except LabelError as error:
            lost.append(error)
    if not images and not lost:
        raise InputError(f"{place} lists no image", wanted="one image file per line")
    return images


def _listed_image(name: str, place: Path, root: Path) -> Path:
    """A line is relative to the data set, or to its list; CVAT's begin with a folder that its archives do not have."""
    first = inner_path(root, name, origin=place, root=root)
    others = [place.parent / name, root / name.removeprefix(_CVAT_FOLDER)] if not Path(name).is_absolute() else []
    found = next((path for path in (first, *others) if seen_kind(path) == "file"), None)
    if found is None:
        raise missing_image(first, origin=place)
    return found


def _darknet_splits(folder: Path) -> dict[str, FoundSplit]:
    """The splits of ``obj.data``, or of lists that are called like splits, beside a list of classes."""
    stated = next((found for path in files_named(folder, "*.data") if (found := _read_data_file(path))), {})
    lists = {_LISTS[key]: _without_folder(folder, name) for key, name in stated.items() if key in _LISTS}
    names = _without_folder(folder, stated["names"]) if "names" in stated else _class_file(folder)
    if not lists and names is not None:
        lists = {split: folder / f"{stem}.txt" for stem, split in _LISTS.items() if _lists_images(folder, stem)}
    if names is None:
        return {}
    return {split: FoundSplit("YOLO", partial(_scan_list, folder, names, path, split)) for split, path in lists.items()}


def _read_data_file(path: Path) -> dict[str, str]:
    try:
        lines = read_label_text(path, limit=_MAX_YAML_BYTES).splitlines()
    except LabelError:
        return {}
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#")]
    return {key.strip(): value.strip() for key, value in pairs if value.strip()}


def _without_folder(folder: Path, name: str) -> Path:
    """A file that obj.data names, as it says or in the folder of obj.data itself."""
    place = inner_path(folder, name, origin=folder / "obj.data", root=folder)
    return place if seen_kind(place) == "file" else folder / Path(name).name


def _lists_images(folder: Path, stem: str) -> bool:
    path = folder / f"{stem}.txt"
    if seen_kind(path) != "file":
        return False
    try:
        return bool(listed_images(path, folder, []))
    except InputError:
        return False


def _scan_list(folder: Path, names: Path, listed: Path, split: str, class_names: Sequence[str] | None) -> ScannedSet:
    lost: list[LabelError] = []
    images = listed_images(listed, folder, lost)
    form = RowFormat(read_class_file(names))
    return scan_yolo(YoloSplit(tuple(images), form, f"YOLO {folder}, split {split}", tuple(lost)), class_names)


def _class_file(folder: Path) -> Path | None:
    """The list of classes of a folder or of one below it."""
    places = [folder, *(place for name in ("labels", "train") if (place := subfolder(folder, (name,))) is not None)]
    return next((path for place in places for name in _CLASS_FILES for path in files_named(place, name)), None)


def _folder_splits(folder: Path) -> dict[str, FoundSplit]:
    """Folders of images whose label files lie beside them or in the folder ``labels`` that belongs to theirs."""
    images = subfolder(folder, IMAGE_FOLDERS)
    inner = {path.name: path for path in split_folders(images)} if images is not None else {}
    places = inner or {path.name: subfolder(path, IMAGE_FOLDERS) or path for path in split_folders(folder)}
    places = {split: place for split, place in places.items() if _has_labels(place)}
    if not places:
        whole = next((place for place in (images, folder) if place is not None and _has_labels(place)), None)
        places = {WHOLE_SET: whole} if whole is not None else {}
    return {split: FoundSplit("YOLO", partial(_scan_folder, folder, split, place)) for split, place in places.items()}


def _has_labels(place: Path) -> bool:
    """Whether some image of a folder has a label file with a row of numbers, or an empty one."""
    return any(_is_label(label_path(place / name)) for name in sorted(list_image_names(place)))


def _is_label(path: Path) -> bool:
    if seen_kind(path) != "file":
        return False
    try:
        rows = [line.split() for line in read_label_lines(path) if line.strip()]
        return bool(rows) and len(rows[0]) > 4 and all(float(word) >= -1e9 for word in rows[0])
    except (LabelError, ValueError):
        return False


def _scan_folder(folder: Path, split: str, place: Path, class_names: Sequence[str] | None) -> ScannedSet:
    file = _class_file(folder)
    if file is None and class_names is None:
        raise InputError(
            f"{folder} has no list of class names",
            got="only YOLO label files",
            wanted="a data.yaml, classes.txt or obj.names next to the label files",
            do=f"Give the names in the order of their numbers: {keyword('classes', 'NAME,NAME')}",
        )
    labels = read_class_file(file) if file is not None else tuple(class_names or ())
    images = tuple(list_images(place))
    return scan_yolo(YoloSplit(images, RowFormat(labels), f"YOLO {folder}, split {split}"), class_names)
