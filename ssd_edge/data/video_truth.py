"""The truth about a video: JSON lines like those that ``ssd-edge run`` writes, with one line for each frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet, Sample
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.data.label_files import read_label_text

_MAX_BYTES = 1 << 30


def truth_path(video: Path) -> Path:
    """Return where the truth about a video lies: its name with ``.truth.jsonl`` for the suffix."""
    return video.with_suffix(".truth.jsonl")


def truth_line(
    frame: int, seconds: float, source: str, objects: Sequence[LabelledObject], class_names: Sequence[str]
) -> str:
    """Return the line of one frame: a detection of score 1 for each object, and whether it is difficult."""
    detections = [
        {
            "box": list(found.box),
            "score": 1.0,
            "class_id": class_names.index(found.label),
            "label": found.label,
            "difficult": found.difficult,
        }
        for found in objects
    ]
    return json.dumps({"frame": frame, "source": source, "t": round(seconds, 6), "detections": detections}) + "\n"


def read_video_truth(path: Path, class_names: Sequence[str]) -> LabelledSet:
    """Return the objects of each frame; sample number i is frame i, and its ``image`` is the video's name.

    Raises:
        InputError: the file cannot be read, or a line is damaged, out of turn, or has an object of an unknown class or
            without a usable box.
    """
    samples = []
    for number, line in enumerate(read_label_text(path, limit=_MAX_BYTES).splitlines()):
        fields = _fields(path, number, line)
        objects = [_read_object(path, number, entry) for entry in fields["detections"]]
        origin = Path(f"{path}: frame {number}")
        samples.append(Sample.from_objects(Path(fields["source"]), objects, class_names, origin=origin))
    if not samples:
        raise InputError(f"{path} is empty", wanted="one line per frame")
    return LabelledSet(tuple(class_names), tuple(samples), f"video {path}")


def _fields(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number + 1} is not valid JSON", got=str(error)) from error
    keys = {"frame": int, "source": str, "detections": list}
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), kind) for key, kind in keys.items()):
        raise InputError(f"{path}, line {number + 1} is damaged", got=line[:80], wanted=", ".join(keys))
    if fields["frame"] != number:
        raise InputError(
            f"{path}, line {number + 1} is out of order", got=f"frame {fields['frame']}", wanted=f"frame {number}"
        )
    return fields


def _read_object(path: Path, number: int, entry: Any) -> LabelledObject:
    try:
        x1, y1, x2, y2 = (float(value) for value in entry["box"])
        return LabelledObject.of_box(str(entry["label"]), (x1, y1, x2, y2), bool(entry.get("difficult", False)))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: frame {number} has a damaged object",
            got=str(entry)[:80],
            wanted='{"box": [x1, y1, x2, y2], "label": …}',
        ) from error
