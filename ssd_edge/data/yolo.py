"""YOLO labels: one text an image, each row ``class cx cy w h`` in 0..1, an outline, or a box and a pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.sample import Corners, LabelledObject, refuse_too_many
from ssd_edge.data.label_files import is_there, read_label_lines
from ssd_edge.data.scan import ScannedImage, ScannedSet, measured_image, of_image

_BOX = 4
_SHORTEST_OUTLINE = 6  # three points
_IMAGE_FOLDERS = ("images", "JPEGImages", "Images", "imgs", "img")


@dataclass(frozen=True)
class RowFormat:
    """Contents of a data set's rows.

    Attributes:
        labels: the class of each number.
        pose: values of a pose behind the box, where the data set states its ``kpt_shape``; else None.
    """

    labels: tuple[str, ...]
    pose: int | None = None


def read_yolo_row(
    path: Path, number: int, row: Sequence[str], form: RowFormat, size: tuple[int, int]
) -> LabelledObject:
    """Return the object of line ``number``.

    Of a data set of poses the first four values are the box, center and sides. Else four values are a box, and six or
    more, an even number, an outline, which gives the box around it: that of a segment, or of an oriented box.

    Args:
        path: the label file, for messages.
        number: of the line, from 1.
        row: the words of the line.
        form: what rows hold.
        size: (width, height) of the image in pixels.

    Raises:
        LabelError: the place of the line's object cannot be read.
    """
    place = f"line {number}"
    values = _values(path, place, row)
    has_box = len(values) == _BOX or (form.pose is not None and len(values) == _BOX + form.pose)
    is_outline = form.pose is None and len(values) >= _SHORTEST_OUTLINE and len(values) % 2 == 0
    if not has_box and not is_outline:
        raise _not_an_object(path, place, row)
    x1, y1, x2, y2 = _around_centre(values) if has_box else _outlined(values)
    box = (x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])
    return LabelledObject.of_box(_label(row[0], form.labels), box, place=place)


def _values(path: Path, place: str, row: Sequence[str]) -> list[float]:
    try:
        return [float(word) for word in row[1:]]
    except ValueError:
        raise _not_an_object(path, place, row) from None


def _label(word: str, labels: Sequence[str]) -> str:
    """The name of a class; for a number that has none a text that is none."""
    try:
        number = float(word)  # some tools write 0.0
    except ValueError:
        return f"class {word!r}, not listed"[:80]
    if number.is_integer() and 0 <= number < len(labels):
        return labels[int(number)]
    return f"class {word}, not listed"[:80]


def _around_centre(values: Sequence[float]) -> Corners:
    cx, cy, w, h = values[:_BOX]
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _outlined(values: Sequence[float]) -> Corners:
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _not_an_object(path: Path, place: str, row: Sequence[str]) -> LabelError:
    got, wanted = " ".join(row)[:80], "class cx cy w h, or class x1 y1 x2 y2 x3 y3 …"
    return LabelError.at("object-malformed", path, place, "is not an object", got=got, wanted=wanted)


def label_path(image: Path) -> Path:
    """Return where the labels of an image lie: ``labels/a.txt`` for the last folder ``images``, or beside it."""
    beside = image.with_suffix(".txt")
    parts = list(beside.parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] in _IMAGE_FOLDERS:
            parts[position] = "labels"
            other = Path(*parts)
            return beside if is_there(beside) and not is_there(other) else other
    return beside


@dataclass(frozen=True)
class YoloSplit:
    """The images of a split, and how their labels are read.

    Attributes:
        images: files.
        form: what rows hold.
        origin: for messages.
        lost: entries of lists that name no image.
        label_of: where the labels of an image lie.
    """

    images: tuple[Path, ...]
    form: RowFormat
    origin: str
    lost: tuple[LabelError, ...] = ()
    label_of: Callable[[Path], Path] = label_path


def scan_yolo(split: YoloSplit, class_names: Sequence[str] | None = None) -> ScannedSet:
    """Return what the label files of a split state. An image without one has no objects, as the format defines it.

    Args:
        split: its images.
        class_names: the classes in the order of their numbers here; by default those of the data set.

    Raises:
        InputError: the rows look like poses, but the data set does not say so.
    """
    if split.form.pose is None:
        _check_no_poses(split)
    names = tuple(class_names) if class_names is not None else split.form.labels
    images = tuple(_scan_image(image, split.label_of(image), split.form) for image in split.images)
    folders = tuple(dict.fromkeys(image.parent for image in split.images))
    return ScannedSet(names, images, split.origin, "fractions", split.lost, image_folders=folders)


def _scan_image(image: Path, path: Path, form: RowFormat) -> ScannedImage:
    has_labels = is_there(path)
    size, faults = measured_image(image)
    try:
        rows = _rows(path) if has_labels else []
        refuse_too_many(len(rows), path)
    except LabelError as error:
        return ScannedImage(image, path, size=size, faults=(*faults, of_image(error, image)))
    objects: list[LabelledObject] = []
    for number, row in rows if size is not None else ():
        try:
            objects.append(read_yolo_row(path, number, row, form, size or (1, 1)))
        except LabelError as error:
            faults = (*faults, of_image(error, image))
    return ScannedImage(image, path, tuple(objects), size, has_labels=has_labels, faults=faults)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that hold something, by their numbers from 1."""
    lines = read_label_lines(path)
    return [(number, row) for number, line in enumerate(lines, start=1) if (row := line.split())]


_LOOKED_AT = 200  # label files that show whether rows are poses
_FEWEST = 3
_ALIKE = 0.9  # share of the rows


def _check_no_poses(split: YoloSplit) -> None:
    """Refuse rows that are a box and the points in it, where nothing says so: as outlines they give other boxes.

    Raises:
        InputError: nearly all long rows have one length, and their points lie in their boxes.
    """
    rows = _long_rows(split)
    lengths = {len(row) for row in rows}
    if len(rows) < _FEWEST or len(lengths) != 1:
        return
    count = lengths.pop() - _BOX
    shapes = [(count // dims, dims) for dims in (2, 3) if count > 0 and count % dims == 0]
    for points, dims in shapes:
        poses = sum(_is_pose(row, dims) for row in rows)
        if poses >= _ALIKE * len(rows) and sum(map(_is_closed, rows)) <= len(rows) / 2:
            raise InputError(
                f"{split.origin}: the rows look like poses (a box and keypoints), not like outlines",
                got=" ".join(f"{value:g}" for value in rows[0])[:80],
                wanted="the shape of the keypoints in data.yaml",
                do=f"Add this line to data.yaml: kpt_shape: [{points}, {dims}]",
            )


def _long_rows(split: YoloSplit) -> list[list[float]]:
    """The values of rows that are longer than a box."""
    found: list[list[float]] = []
    for image in split.images[:_LOOKED_AT]:
        try:
            rows = _rows(split.label_of(image)) if is_there(split.label_of(image)) else []
            found += [_values(image, "", row) for _, row in rows if len(row) > _BOX + 1]
        except LabelError:
            continue  # the scan names it
    return found


def _is_closed(values: Sequence[float]) -> bool:
    """Whether the second pair is a point as near to the others as those of an outline are."""
    x, y = values[2:4]
    xs, ys = [values[0], *values[4::2]], [values[1], *values[5::2]]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    return min(xs) - wide <= x <= max(xs) + wide and min(ys) - high <= y <= max(ys) + high


def _is_pose(values: Sequence[float], dims: int) -> bool:
    """Whether the points behind the box lie in it, but for those that are marked as not seen."""
    x1, y1, x2, y2 = _around_centre(values)
    margin = 0.02
    points = [values[start : start + dims] for start in range(_BOX, len(values), dims)]
    if dims == 3 and not all(point[2] in (0, 1, 2) for point in points):
        return False
    seen = [point for point in points if tuple(point[:2]) != (0, 0)]
    inside = all(x1 - margin <= point[0] <= x2 + margin and y1 - margin <= point[1] <= y2 + margin for point in seen)
    return bool(seen) and inside and values[2] > 0 and values[3] > 0
