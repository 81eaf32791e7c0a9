"""Labelled data of any layout, found by looking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.data.sample import LabelledSet
from ssd_edge.data.voc import read_voc


def open_dataset(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return a split of the data in ``folder``.

    Raises:
        InputError: the folder has none of the known layouts, or its labels cannot be used.
    """
    voc_list = folder / "ImageSets" / "Main" / f"{split}.txt"
    if voc_list.is_file():
        return read_voc(folder, split, class_names)
    raise InputError(f"{folder} holds no split {split!r}", got=f"nothing at {voc_list}")
