"""The anchors of a foreign network, from a .npy table or a JSON spec."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.core.anchor_spec import AnchorSpec, AnchorTable
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import bytes_digest, read_regular, read_text
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.model.anchors import anchor_boxes

_DO = "Save the anchors (priors) of the network: numpy.save('priors.npy', priors)"
_FAR = 2.0  # no published table has a coordinate beyond 1.1; in pixels every one has


@dataclass(frozen=True)
class BoxTable:
    """Anchors, and how the model's spec describes them.

    Attributes:
        boxes: (N, 4) float32 cx cy w h in 0..1 of the image.
    """

    boxes: FloatArray
    spec: AnchorSpec


def read_box_table(path: Path) -> BoxTable:
    """Read (N, 4) cx cy w h in 0..1 from a ``.npy``, or lay them out by the levels in a ``.json``.

    The JSON holds the fields of :class:`AnchorSpec`, at its top or under ``anchors`` as in a model's spec.

    Raises:
        InputError: the file cannot be read, or holds no such table.
    """
    if path.suffix not in (".npy", ".json"):
        raise InputError(f"{path} is not an anchors file", wanted="a .npy or .json file", do=_DO)
    try:
        table = _from_json(path) if path.suffix == ".json" else _from_npy(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", do=_DO) from error
    except Exception as error:  # NumPy and msgspec have their own, and too much memory asked for is one more
        raise InputError(
            f"{path} contains no table of anchors",
            got=str(error) or type(error).__name__,
            wanted="(N, 4) numbers, or levels with rows, cols, step and sizes",
            do=_DO,
        ) from error
    _check(table.boxes, path)
    return table


def _from_npy(path: Path) -> BoxTable:
    boxes = np.asarray(np.load(io.BytesIO(read_regular(path)), allow_pickle=False))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind != "f" or not len(boxes):
        raise ValueError(f"{boxes.dtype} {boxes.shape}")
    table = np.ascontiguousarray(boxes, np.float32)
    return BoxTable(table, AnchorSpec((), table=AnchorTable(len(table), bytes_digest(table.tobytes()))))


def _from_json(path: Path) -> BoxTable:
    fields = parse_json(read_text(path))
    spec = AnchorSpec.from_fields(fields.get("anchors", fields))
    return BoxTable(anchor_boxes(spec), spec)


def _check(boxes: FloatArray, path: Path) -> None:
    if not np.isfinite(boxes).all() or np.abs(boxes).max() > _FAR:
        what = f"numbers from {boxes.min():g} to {boxes.max():g}"
        raise InputError(
            f"the anchors in {path} are not fractions of the image",
            got=what,
            wanted="numbers from 0 to 1",
            do="If they are pixels, divide them by the input size.",
        )
    if (boxes[:, 2:] <= 0).any():
        bad = int(np.flatnonzero((boxes[:, 2:] <= 0).any(axis=1))[0])
        raise InputError(
            f"the anchors in {path} are not in center form",
            got=f"row {bad} has width {boxes[bad, 2]:g} and height {boxes[bad, 3]:g}",
            wanted="cx cy w h",
        )
