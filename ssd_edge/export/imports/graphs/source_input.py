"""The input of a foreign graph: one float32 picture in planes, of a size that is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from ssd_edge.core.errors import ArtefactError

_WANTED = "one input, float32 (B, 3, H, W)"


@dataclass(frozen=True)
class SourceInput:
    """How the foreign graph takes a picture.

    Attributes:
        batch_is_free: it says that it takes any number of pictures; otherwise it takes one.
    """

    name: str
    height: int
    width: int
    batch_is_free: bool


def source_input(model: onnx.ModelProto, path: Path, size: tuple[int, int] | None) -> SourceInput:
    """Return the input of the graph; ``size`` (height, width) is needed where the graph leaves them free.

    Raises:
        ArtefactError: it takes something else, more than one picture at a time, or another size.
    """
    inputs = list(model.graph.input)
    if len(inputs) != 1:
        raise _refusal(path, f"{len(inputs)} inputs: {', '.join(map(_described, inputs))}", "Export the network alone.")
    shape = inputs[0].type.tensor_type.shape.dim
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT or len(shape) != 4 or shape[1].dim_value not in (0, 3):
        in_rows = len(shape) == 4 and shape[3].dim_value == 3
        do = "It takes pictures in rows of pixels (NHWC), as TensorFlow does: export it as NCHW." if in_rows else ""
        raise _refusal(path, _described(inputs[0]), do or "Export it from float32 pixels.")
    if shape[0].dim_value > 1:
        raise _refusal(path, _described(inputs[0]), "Export it again with a batch of 1, or a free one.")
    height, width = _size(inputs[0], path, size)
    return SourceInput(inputs[0].name, height, width, batch_is_free=shape[0].dim_value == 0)


def _size(value: onnx.ValueInfoProto, path: Path, asked: tuple[int, int] | None) -> tuple[int, int]:
    own = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[2:])
    size = asked or (own[0], own[1])
    if 0 in size:
        raise _refusal(path, _described(value), "Say which input size it was trained for: --size HEIGHT WIDTH")
    if any(fixed not in (0, wish) for fixed, wish in zip(own, size, strict=True)):
        raise ArtefactError(
            f"{path} has another input size", got=f"--size {size[0]} {size[1]}", wanted=f"{own[0]} {own[1]}"
        )
    return size


def _refusal(path: Path, got: str, do: str) -> ArtefactError:
    return ArtefactError(f"{path} does not take one picture", got=got, wanted=_WANTED, do=do)


def _described(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    dims = ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in kind.shape.dim)
    return f"{value.name} {TensorProto.DataType.Name(kind.elem_type).lower()} ({dims})"
