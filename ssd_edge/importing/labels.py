"""The names of the classes: from the user's labels.txt, or built-in ones chosen by how many the weights predict."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_text

VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""PASCAL VOC's 20 classes, in the alphabetic order that every SSD uses."""

COCO_WITH_GAPS = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "N/A", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep"),
    *("cow", "elephant", "bear", "zebra", "giraffe", "N/A", "backpack", "umbrella", "N/A", "N/A"),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat"),
    *("baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "N/A", "wine glass", "cup", "fork"),
    *("knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza"),
    *("donut", "cake", "chair", "couch", "potted plant", "bed", "N/A", "dining table", "N/A", "N/A", "toilet"),
    *("N/A", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink"),
    *("refrigerator", "N/A", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
"""COCO's 90 category ids from 1 on; ids that no category has are called N/A (torchvision's numbering)."""

COCO = tuple(name for name in COCO_WITH_GAPS if name != "N/A")
"""COCO's 80 classes without gaps."""

_BUILT_IN = {len(names): names for names in (VOC, COCO, COCO_WITH_GAPS)}
_BACKGROUND = ("background", "__background__")


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file with one a line; a first line ``BACKGROUND`` is no class.

    Raises:
        InputError: the file cannot be read, or names no class.
    """
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read", got=str(error), wanted="a text file with one class per line"
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if names and names[0].lower() in _BACKGROUND:
        names = names[1:]
    if not names:
        raise InputError(f"{path} contains no class", wanted="a text file with one class per line")
    return names


def class_names(count: int, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return ``given`` if it fits weights with ``count`` real classes, or built-in names where none are given.

    Raises:
        InputError: another number of names is given.
    """
    if given is None:
        return _BUILT_IN.get(count) or tuple(f"class {number}" for number in range(1, count + 1))
    if len(given) != count:
        raise InputError(
            "the number of class names does not match the weights",
            got=f"{len(given)} names ({given[0]} to {given[-1]})",
            wanted=f"{count} names, without the background",
            do="Give the labels.txt that the model was trained with (--labels). A first line BACKGROUND may stay in "
            "it; a background under any other name must be removed.",
        )
    return given
