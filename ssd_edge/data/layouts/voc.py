"""Discovery of Pascal VOC data: the devkit's folders and their variants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ssd_edge.data.label_files import (
    CLASS_FILE,
    ImageFolders,
    checked_class_names,
    files_named,
    folders_in,
    list_image_names,
    read_class_file,
    read_label_lines,
    read_label_text,
    seen_kind,
)
from ssd_edge.data.layouts.split import IMAGE_FOLDERS, WHOLE_SET, FoundSplit, split_folders, subfolder
from ssd_edge.data.voc import VocPlace, scan_voc, without_flag

LABEL_MAP = "labelmap.txt"
"""CVAT's list of classes: ``name:color:parts:actions``, background included."""

_ANNOTATION_FOLDERS = ("annotations", "annots", "annotation", "xmls", "xml", "labels")
_LIST_FOLDERS = (("ImageSets", "Main"), ("ImageSets",))
_LOOKED_AT = 20  # lines that show what a list is


def voc_places(folder: Path) -> dict[str, VocPlace]:
    """Return the splits of a folder as VOC, by name; none where it is not.

    Recognized, in this order: lists in ``ImageSets/Main`` (or ``ImageSets``) beside ``Annotations``, one a split or, as
    VOTT writes them, one for each class and split; XML files in the split's own folder, beside their images or in
    ``annotations`` below; one folder of annotations beside the images or a folder of them; XML files and images in one
    folder. The last two are one split, ``all``.
    """
    places: dict[str, VocPlace] = {}
    for find in (_listed, _in_split_folders, _in_annotation_folders, _whole):
        for split, place in find(folder).items():
            places.setdefault(split, place)
        if places:
            break
    return places


def voc_splits(folder: Path) -> dict[str, FoundSplit]:
    """Return the splits of a folder as VOC, by name."""
    return {split: FoundSplit("VOC", partial(scan_voc, place)) for split, place in voc_places(folder).items()}


def _place(
    folder: Path,
    split: str,
    annotations: Path,
    images: Sequence[Path],
    *,
    lists: Sequence[Path] = (),
    all_annotations: Sequence[Path] = (),
) -> VocPlace:
    return VocPlace(
        annotations=annotations,
        images=ImageFolders(*images),
        lists=tuple(lists),
        root=folder,
        all_annotations=tuple(all_annotations) or (annotations,),
        class_names=_class_names(folder),
        origin=f"VOC {folder}, split {split}",
    )


def _class_names(folder: Path) -> tuple[str, ...] | None:
    if seen_kind(folder / CLASS_FILE) == "file":
        return read_class_file(folder / CLASS_FILE)
    if seen_kind(folder / LABEL_MAP) != "file":
        return None
    lines = [line.strip() for line in read_label_text(folder / LABEL_MAP).splitlines()]
    names = [line.split(":")[0].strip() for line in lines if line and not line.startswith("#")]
    return checked_class_names([name for name in names if name.lower() != "background"], origin=folder / LABEL_MAP)


def _annotation_folder(folder: Path) -> Path | None:
    """The folder of a data set or a split that holds its XML files, those in ``annotations/xmls`` included."""
    found = subfolder(folder, _ANNOTATION_FOLDERS)
    inner = subfolder(found, ("xmls", "xml")) if found is not None else None
    return inner or found


def _image_folders(folder: Path, annotations: Path) -> list[Path]:
    named = subfolder(folder, IMAGE_FOLDERS)
    return [place for place in (named, annotations, folder) if place is not None]


def _listed(folder: Path) -> dict[str, VocPlace]:
    lists = next((found for parts in _LIST_FOLDERS if (found := files_named(folder.joinpath(*parts), "*.txt"))), [])
    annotations = _annotation_folder(folder)
    if not lists or annotations is None:
        return {}
    images = _image_folders(folder, annotations)

    def make(split: str, paths: Sequence[Path]) -> VocPlace:
        return _place(folder, split, annotations, images, lists=paths)

    places = {path.stem: make(path.stem, [path]) for path in lists}
    of_one_class = [path for path in lists if _is_of_one_class(places[path.stem], path)]
    plain = {path.stem: places[path.stem] for path in lists if path not in of_one_class}
    return plain or {
        split: make(split, [path for path in of_one_class if _split_of(path) == split])
        for split in dict.fromkeys(map(_split_of, of_one_class))
    }


def _split_of(path: Path) -> str:
    """``val`` of ``traffic_light_val.txt``."""
    return path.stem.rpartition("_")[2]


def _is_of_one_class(place: VocPlace, path: Path) -> bool:
    """Whether a list says 1, 0 or -1 after each name, and none of its whole lines is a name."""
    lines = [line.strip() for line in read_label_lines(path, limit_bytes=1 << 30)]
    lines = [line for line in lines if line][:_LOOKED_AT]
    return bool(lines) and all(without_flag(line) != line and not _is_name(place, line) for line in lines)


def _is_name(place: VocPlace, line: str) -> bool:
    return place.images.find(line) is not None or seen_kind(place.annotations / f"{line}.xml") == "file"


def _in_split_folders(folder: Path) -> dict[str, VocPlace]:
    """``train/*.xml`` beside the images (Roboflow), or ``train/annotations`` and ``train/images`` (Kaggle)."""
    found: dict[str, tuple[Path, list[Path]]] = {}
    for place in _folders_with_splits(folder):
        annotations = _annotation_folder(place) or place
        if files_named(annotations, "*.xml"):
            found[place.name] = annotations, [place, *_image_folders(place, annotations)]
    every = [annotations for annotations, _ in found.values()]
    return {
        split: _place(folder, split, annotations, images, all_annotations=every)
        for split, (annotations, images) in found.items()
    }


def _folders_with_splits(folder: Path) -> list[Path]:
    """Folders named like a split, or else any that hold annotations beside images."""
    named = split_folders(folder)
    others = [path for path in folders_in(folder) if path.name.lower() not in (*_ANNOTATION_FOLDERS, *IMAGE_FOLDERS)]
    return named or [path for path in others if files_named(path, "*.xml") and list_image_names(path)]


def _in_annotation_folders(folder: Path) -> dict[str, VocPlace]:
    """``annotations/train/*.xml`` and ``images/train``."""
    annotations = _annotation_folder(folder)
    found = [path for path in split_folders(annotations) if files_named(path, "*.xml")] if annotations else []
    images = subfolder(folder, IMAGE_FOLDERS) or folder
    return {
        path.name: _place(folder, path.name, path, [images / path.name, images], all_annotations=found)
        for path in found
    }


def _whole(folder: Path) -> dict[str, VocPlace]:
    annotations = _annotation_folder(folder)
    for place in (annotations, folder):
        if place is not None and files_named(place, "*.xml"):
            return {WHOLE_SET: _place(folder, WHOLE_SET, place, _image_folders(folder, place))}
    return {}
