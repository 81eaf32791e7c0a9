"""Labelled data of any layout, found by looking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import cannot_list, path_kind, refuse_unlisted
from ssd_edge.core.log import log
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.tolerance import TOLERANT, Tolerance
from ssd_edge.data.label_files import folders_in
from ssd_edge.data.layouts.coco import coco_splits, folder_of, is_coco
from ssd_edge.data.layouts.split import FoundSplit
from ssd_edge.data.layouts.table import table_splits
from ssd_edge.data.layouts.voc import voc_splits
from ssd_edge.data.layouts.yolo import yaml_splits, yolo_splits
from ssd_edge.data.mistaken import check_unit
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.split_lists import ListedPart, dataset_root
from ssd_edge.data.usable import UsableSet, usable_set

_USUAL_SPLITS = ("train", "val", "valid", "test")
_OTHER_NAMES = {  # of the same part, by other tools
    "train": ("training",),
    "val": ("valid", "validation", "dev"),
    "test": ("testing",),
}
_FOREIGN = "lost+found"  # of the file system, at the root of a disk
_RUNS = "runs"  # of a workspace: training makes it before it reads the data
_OTHER_FORMATS = "Give the folder that contains these files. Other formats can be converted: see docs/data.md#convert"
_WRAPPERS = 2  # folders that an archive may put around a data set
_LAYOUTS: tuple[Callable[[Path], dict[str, FoundSplit]], ...] = (voc_splits, coco_splits, yolo_splits, table_splits)


def open_dataset(
    folder: Path, split: str, class_names: Sequence[str] | None = None, *, tolerance: Tolerance = TOLERANT
) -> LabelledSet:
    """Return a split of the data in ``folder``, whose layout is found by looking; docs/data.md lists the layouts.

    What cannot be used is left out, counted and logged: see :mod:`ssd_edge.data.usable`.

    Args:
        folder: of the data set, or its data.yaml.
        split: ``train``, ``val``, ``test`` or whatever the data set calls it, ``all`` where it has no splits; ``val``
            finds ``valid`` too; or a part of a file of lists, such as ``runs/signs/split.json:val``.
        class_names: the classes in the order of their numbers; by default as the data states them.
        tolerance: how much may be left out.

    Raises:
        InputError: nothing of the kind is there, or too much of it cannot be used.
    """
    usable = usable_split(folder, split, class_names)
    usable.check(tolerance)
    usable.log_left_out()
    return usable.labelled


def usable_split(folder: Path, split: str, class_names: Sequence[str] | None = None) -> UsableSet:
    """Return what of a split can be used; arguments and errors as those of :func:`open_dataset`."""
    return usable_set(scan_dataset(folder, split, class_names))


def scan_dataset(folder: Path, split: str, class_names: Sequence[str] | None = None) -> ScannedSet:
    """Return what the label files of a split state, faults included.

    Arguments as those of :func:`open_dataset`.

    Raises:
        InputError: there is no such split, its list of images or of classes cannot be used, or its boxes are in another
            unit than its layout has.
    """
    listed = ListedPart.named(split)
    if listed is not None:
        lists = listed.read()
        return listed.of(scan_dataset(folder, lists.source, class_names), dataset_root(folder), lists)
    splits = found_splits(folder)
    for name in (split, *_OTHER_NAMES.get(split, ())):
        if name in splits:
            scanned = splits[name].scan(class_names)
            check_unit(scanned)
            return scanned
    raise _nothing_found(folder, split, tuple(splits))


def dataset_splits(folder: Path) -> tuple[str, ...]:
    """Return the splits to look at where none is named: those of train, val and test that are there, or else all.

    A VOC folder has ``trainval`` besides, which repeats two others.

    Raises:
        InputError: there is no such folder, or it holds no split of a known layout.
    """
    found = tuple(found_splits(folder))
    names = [name for usual in _USUAL_SPLITS for name in (usual, *_OTHER_NAMES.get(usual, ()))]
    usual = tuple(dict.fromkeys(name for name in names if name in found))
    if not found:
        raise _nothing_found(folder, _USUAL_SPLITS[0], ())
    return usual or found


def usual_name(split: str) -> str:
    """Return ``train``, ``val`` or ``test`` for what some tool calls that part of a data set; else the name itself."""
    return next((usual for usual, others in _OTHER_NAMES.items() if split in others), split)


def found_splits(folder: Path) -> dict[str, FoundSplit]:
    """Return all splits of a data set, by name; where layouts share a name, that of the first of VOC, COCO, YOLO, CSV.

    Raises:
        InputError: there is no such folder, or a file that describes the data set cannot be read.
    """
    if path_kind(folder) == "file" and folder.suffix in (".yaml", ".yml"):
        return yaml_splits(folder)
    if path_kind(folder) == "file" and folder.suffix == ".json" and is_coco(folder):
        folder = folder_of(folder)
    _refuse_no_folder(folder)
    for place in _unwrapped(folder):
        splits: dict[str, FoundSplit] = {}
        for layout in _LAYOUTS:
            splits = {**layout(place), **splits}
        if splits:
            if place != folder:
                log.info(f"using the data set in {place}, the only folder in {folder}")
            return splits
    return {}


def _unwrapped(folder: Path) -> list[Path]:
    """The folder, and while it holds nothing but one folder, that one."""
    places = [folder]
    for _ in range(_WRAPPERS):
        inner = folders_in(places[-1])
        if len(inner) != 1:
            break
        places.append(inner[0])
    return places


def _refuse_no_folder(folder: Path) -> None:
    kind = path_kind(folder)
    if kind != "folder":
        got = "nothing there" if kind == "absent" else f"a file that is not a data.yaml: {folder.name}"
        raise InputError(f"{folder} is not a folder", got=got, wanted="a data set: a VOC, COCO or YOLO folder")


def _nothing_found(folder: Path, split: str, splits: Sequence[str]) -> InputError:
    looked_for = (
        f"ImageSets/Main/{split}.txt, or *.xml beside or near the images (VOC)",
        f"annotations/instances_{split}*.json, or any *.json of instances (COCO)",
        f"a *.yaml with the key {split!r}, obj.data, or *.txt beside or near the images (YOLO)",
        "*.csv with filename, class, xmin, ymin, xmax, ymax",
    )
    try:
        there = sorted(path.name for path in folder.iterdir() if path.name != _RUNS)
    except NotADirectoryError:
        there = [folder.name]
    except OSError as error:
        raise cannot_list(folder, error) from error
    got, do = ", ".join(there[:8]) + (" …" if len(there) > 8 else "") or "an empty folder", _OTHER_FORMATS
    if splits:
        do = f"It contains these splits: {', '.join(splits)}."
    locked = _locked_in(folder)
    if locked is not None:
        got, do = f"{got}; {locked.what}", f"{do if splits else ''} {locked.do}".lstrip()
    return InputError(f"{folder} contains no data set split {split!r}", got=got, wanted=", or ".join(looked_for), do=do)


def _locked_in(folder: Path) -> InputError | None:
    """Return the error of the first folder in it, or in those, that may not be listed; None where all may."""
    for outer in folders_in(folder):
        if outer.name == _FOREIGN:
            continue
        for place in (outer, *folders_in(outer)):
            try:
                refuse_unlisted(place)
            except InputError as error:
                return error
    return None
