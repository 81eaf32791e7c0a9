"""The layouts of labels that can be written, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.data.coco_writer import CocoWriter
from ssd_edge.data.label_files import SetWriter
from ssd_edge.data.voc_writer import VocWriter
from ssd_edge.data.yolo_writer import YoloWriter

_WRITERS: dict[str, Callable[[Path, Sequence[str]], SetWriter]] = {
    "voc": VocWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
}
LABEL_FORMATS = tuple(_WRITERS)


def open_writer(name: str, folder: Path, class_names: Sequence[str]) -> SetWriter:
    """Return the writer of a layout.

    Raises:
        InputError: there is no such layout.
    """
    if name not in _WRITERS:
        raise InputError(f"label format {name!r} is unknown", wanted=", ".join(_WRITERS))
    return _WRITERS[name](folder, class_names)
