"""Convert data: a labelled set of any layout, written anew as VOC, COCO or YOLO; the data stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import folder_written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.names import file_slug
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.convert import check_target, write_converted
from ssd_edge.data.find import found_splits, usable_split, usual_name
from ssd_edge.data.label_files import listed_class_names
from ssd_edge.data.split_lists import ListedPart, dataset_root
from ssd_edge.data.usable import UsableSet
from ssd_edge.workflows.convert_data_config import ConvertDataConfig, ConvertDataOptions
from ssd_edge.workflows.train_config import TRAIN_SPLIT, VAL_SPLIT

_TEST = "test"
_BOTH = "trainval"  # of VOC's devkit


@dataclass(frozen=True)
class ConvertDataResult:
    """A labelled set in another format.

    Attributes:
        path: its folder, which every command takes.
        images, objects: how many were written, by split.
        class_names: in the order of their numbers.
        left_out: images and objects that could not be used, or that the format cannot hold.
    """

    path: Path
    images: Mapping[str, int]
    objects: Mapping[str, int]
    class_names: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def convert_data(
    dataset: AnyPath,
    *,
    config: ConvertDataConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[ConvertDataOptions],
) -> ConvertDataResult:
    """Write labelled images of any layout as VOC, COCO or YOLO, whole or not at all.

    Splits keep their names, but that ``valid``, ``training`` and the like become ``val``, ``train`` and ``test``, and
    images without splits ``train``. Outlines become the boxes around them; corners of VOC are kept to 1/100 of a pixel.

    Args:
        dataset: labelled images, of any layout.
        config: what to write; or its fields as keywords.
        progress: called in the stage ``converting``.
        workspace: the folder for the set where none is named.
        options: fields of the config.

    Raises:
        InputError: the data set cannot be read, too much of it cannot be used, or the folder holds something, lies in
            the data set, or cannot be written.
    """
    config, place = config_from(ConvertDataConfig, config, options), Path(dataset)
    root = dataset_root(place)
    name = file_slug(root.resolve().name or "data")
    target = config.output or Path(workspace) / "converted" / f"{name}-{config.to.value}"
    check_target(target, root)
    usable = _usable_splits(place, config)
    with stage(progress, "converting") as report, folder_written_beside(target.resolve(), durable=False) as partial:
        written = write_converted(usable, config.to, partial, link=config.link, progress=report)
    return ConvertDataResult(target, written.images, written.objects, written.class_names, written.left_out)


def _usable_splits(dataset: Path, config: ConvertDataConfig) -> dict[str, UsableSet]:
    """Return what can be used of each split, by the name that it gets; everything is refused here that is."""
    splits: dict[str, UsableSet] = {}
    class_names = listed_class_names(config.classes)
    wanted = config.splits or _all_splits(dataset)
    for split in wanted:
        usable = usable_split(dataset, split, class_names)
        usable.check(Tolerance(config.max_bad, config.strict))
        usable.log_left_out()
        name = _written_name(split, is_only=len(wanted) == 1)
        if name in splits:
            got = f"{splits[name].labelled.origin}; {usable.labelled.origin}"
            raise InputError(
                f"two splits would both be written as {name}", got=got, do="Choose the splits to convert: --split NAME"
            )
        splits[name] = usable
    return splits


def _all_splits(dataset: Path) -> list[str]:
    found = list(found_splits(dataset))
    if not found:
        usable_split(dataset, TRAIN_SPLIT)  # which says what was looked for
    if {TRAIN_SPLIT, VAL_SPLIT, _BOTH} <= set(found):
        found.remove(_BOTH)
    return found


def _written_name(split: str, *, is_only: bool) -> str:
    """The usual name of a split; that of a tool for images that are not divided, such as CVAT's, is ``train``."""
    listed = ListedPart.named(split)
    name = file_slug(usual_name(listed.name if listed else split))
    if is_only and name not in (TRAIN_SPLIT, VAL_SPLIT, _TEST):
        log.info(f"the data set has only the split {split}: all its images are written as {TRAIN_SPLIT}")
        return TRAIN_SPLIT
    return name
