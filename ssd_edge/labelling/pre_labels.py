"""Pre-labels: the rows of a job as a data set in COCO, YOLO or VOC, for a labelling tool or ``ssd-edge train``."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.files import folder_written_beside, path_kind, written_beside
from ssd_edge.core.log import log
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import SetWriter, open_writer
from ssd_edge.labelling.items import Item
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.labeller import member_bytes
from ssd_edge.labelling.plan import PlanReader
from ssd_edge.labelling.rows import Part, read_groups

_SPLIT = "train"
_LONGEST_STEM = 50  # characters, of four bytes at most: any disk takes that with a number before it
_LEAST_SIDE_PX = 0.01  # what the formats can write


def check_can_be_written(folder: JobFolder) -> None:
    """Raise InputError where a job has frames of videos, which are no files that a label could belong to."""
    if folder.job.videos:
        raise InputError(
            "pre-labels cannot be written for videos, whose frames are not files",
            got=f"{folder.job.videos} videos",
            wanted="only images",
            do=f"Label the videos without {keyword('format')}, or save the frames as images first.",
        )


def write_pre_labels(folder: JobFolder, layout: str) -> tuple[Path, int]:
    """Write a data set into a folder of the job, with links to the images and copies of those in tars.

    An image is called by its number and its name. What cannot be read is not in it. A data set that is there is kept:
    somebody may have corrected it.

    Args:
        folder: of a job that is complete.
        layout: ``coco``, ``yolo`` or ``voc``.

    Returns:
        The data set, and how many boxes were too small to be written.

    Raises:
        InputError: the folder cannot be written.
        ArtifactError: a part is damaged.
    """
    target, first, small = folder.path / layout, 0, 0
    if path_kind(target) == "folder":
        log.warning(f"{target} already exists and is not changed; to write it again, delete it")
        return target, 0
    with folder_written_beside(target, durable=False) as partial, PlanReader(folder.plan_path) as plan:
        writer = open_writer(layout, partial, folder.job.class_names)
        for number in range(folder.job.parts):
            items = plan.items(number)
            for table in read_groups(folder.part_path(number), folder.job.fingerprint):
                part = Part.of(table)
                small += _add_part(writer, part, items[: len(part)], first)
                first, items = first + len(part), items[len(part) :]
        writer.close()
    return target, small


def _add_part(writer: SetWriter, part: Part, items: list[Item], first: int) -> int:
    small = 0
    for number, span in part.spans():
        if part.errors[number] is not None:
            continue
        item = items[number]
        suffix = Path(item.id if item.kind == "member" else item.path).suffix  # an id of a table may have any
        stem = _plain(Path(item.id).name.removesuffix(suffix)[:_LONGEST_STEM])
        image = writer.image_path(_SPLIT, f"{first + number:07d}-{stem}", suffix)
        _place(item, image)
        objects = [
            LabelledObject.of_box(label, (x1, y1, x2, y2))
            for (x1, y1, x2, y2), label in zip(part.boxes[span].tolist(), part.labels[span], strict=True)
            if min(x2 - x1, y2 - y1) >= _LEAST_SIDE_PX
        ]
        small += span.stop - span.start - len(objects)
        width, height = part.sizes[number].tolist()
        writer.add(_SPLIT, image, (width, height), objects)
    return small


def _plain(name: str) -> str:
    """Return a name without what would end a line of a list, or what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "_" for sign in name)


def _place(item: Item, image: Path) -> None:
    """Put a link to an image, or a member of a tar, where the data set has its images."""
    image.parent.mkdir(parents=True, exist_ok=True)
    if item.kind == "member":
        with written_beside(image, durable=False) as partial:
            partial.write_bytes(member_bytes(item))
    else:
        image.symlink_to(item.path)
