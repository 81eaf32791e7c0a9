"""The first convolution of an INT8 engine for ONNX Runtime, made to read four columns of the picture at a time.

ONNX Runtime gathers the 3 x 3 pixels under each output, three bytes each, before it multiplies them: more work than the
multiplication. Bytes of neighbouring columns lie side by side, so that a picture of H x W x 3 is, without a copy, one
of H x W/4 x 12, and an output of H/2 x W/4 x 2N one of H/2 x W/2 x N. The convolution between those two has twice the
outputs and steps over half as many places. Its new weights are zero wherever an output does not see a column: the
integer sums, and so the bytes it puts out, are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.graph.editor import drop_unread_constants, replace_all

Array = npt.NDArray[Any]
_STRIDE, _COLUMNS, _OUTPUTS = 2, 4, 2  # columns read, and outputs made, at a time
_WEIGHT, _SCALE, _ZERO, _BIAS = 3, 4, 5, 8  # inputs of QLinearConv


@dataclass(frozen=True)
class _Stem:
    """A convolution with stride 2 that reads the picture's bytes and halves its width."""

    node: onnx.NodeProto
    height: int
    width: int
    pads: tuple[int, int, int, int]  # top, left, bottom, right


def read_columns_together(model: onnx.ModelProto) -> bool:
    """Change the first convolution of an optimised graph in place; tell whether there was one to change.

    It must read ``images`` as (B, H, W, 3) uint8 with stride 2, make half the width, and W be a multiple of 4.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    stem = _find(model.graph, constants)
    if stem is None:
        return False
    _replace(model.graph, stem, {name: numpy_helper.to_array(constants[name]) for name in stem.node.input[1:]})
    return True


def _find(graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> _Stem | None:
    readers = [node for node in graph.node if INPUT_NAME in node.input]
    if len(readers) != 1 or readers[0].op_type != "QLinearConv" or len(readers[0].input) != _BIAS + 1:
        return None
    node = readers[0]
    options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    picture = next(entry for entry in graph.input if entry.name == INPUT_NAME).type.tensor_type.shape.dim
    height, width = picture[1].dim_value, picture[2].dim_value
    if not all(name in constants for name in node.input[1:]) or np.any(
        numpy_helper.to_array(constants[node.input[_ZERO]])
    ):
        return None
    top, left, bottom, right = options.get("pads", [0, 0, 0, 0])
    kernel_width = constants[node.input[_WEIGHT]].dims[3]
    fits = (
        options.get("channels_last") == 1
        and options.get("group", 1) == 1
        and list(options.get("dilations", [1, 1])) == [1, 1]
        and options.get("auto_pad", b"NOTSET") == b"NOTSET"
        and list(options.get("strides", [1, 1])) == [_STRIDE, _STRIDE]
        and width % _COLUMNS == 0
        and (width + left + right - kernel_width) // _STRIDE + 1 == width // _STRIDE
    )
    return _Stem(node, height, width, (top, left, bottom, right)) if fits else None


def _replace(graph: onnx.GraphProto, stem: _Stem, values: dict[str, Array]) -> None:
    node, (top, left, bottom, _) = stem.node, stem.pads
    weight = values[node.input[_WEIGHT]]
    first, grouped = _group_columns(weight, left)
    kernel_height, blocks = grouped.shape[2:]
    height = (stem.height + top + bottom - kernel_height) // _STRIDE + 1
    new = {
        f"{node.name}.columns.weight": grouped,
        f"{node.name}.columns.bias": np.tile(values[node.input[_BIAS]], _OUTPUTS),
        f"{node.name}.columns.scale": _repeated(values[node.input[_SCALE]]),
        f"{node.name}.columns.zero": _repeated(values[node.input[_ZERO]]),
        f"{node.name}.columns.picture": np.array([0, stem.height, stem.width // _COLUMNS, grouped.shape[1]]),
        f"{node.name}.columns.output": np.array([0, height, stem.width // _STRIDE, len(weight)]),
    }
    weight_name, bias_name, scale_name, zero_name, picture_shape, output_shape = new
    read, made = f"{node.name}.columns.read", f"{node.name}.columns.made"
    convolution = helper.make_node(
        "QLinearConv",
        [read, *node.input[1:3], weight_name, scale_name, zero_name, *node.input[6:8], bias_name],
        [made],
        node.name,
        domain=node.domain,
        channels_last=1,
        kernel_shape=[kernel_height, blocks],
        strides=[_STRIDE, 1],
        pads=[top, -first, bottom, blocks - 1 + first],
    )
    place = list(graph.node).index(node)
    before = helper.make_node("Reshape", [INPUT_NAME, picture_shape], [read], f"{node.name}.columns")
    after = helper.make_node("Reshape", [made, output_shape], list(node.output), f"{node.name}.rows")
    nodes = [*graph.node[:place], before, convolution, after, *graph.node[place + 1 :]]
    replace_all(graph.node, nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in new.items())
    drop_unread_constants(graph, [tensor.name for tensor in graph.initializer])


def _group_columns(weight: Array, left: int) -> tuple[int, Array]:
    """Spread (N, C, kh, kw) weights over groups of columns.

    Returns:
        The first group that the outputs of group 0 see, 0 or negative, and (2N, 4C, kh, groups) weights.
    """
    outputs, channels, height, width = weight.shape
    seen = [[_STRIDE * output - left + column for column in range(width)] for output in range(_OUTPUTS)]
    first, last = seen[0][0] // _COLUMNS, seen[-1][-1] // _COLUMNS
    spread = np.zeros((_OUTPUTS, outputs, _COLUMNS, channels, height, last - first + 1), weight.dtype)
    for output, columns in enumerate(seen):
        for column, place in enumerate(columns):
            spread[output, :, place % _COLUMNS, :, :, place // _COLUMNS - first] = weight[..., column]
    return first, spread.reshape(_OUTPUTS * outputs, _COLUMNS * channels, height, -1)


def _repeated(value: Array) -> Array:
    """Return one value for each output, where there was one for each."""
    return np.tile(value, _OUTPUTS) if value.size > 1 else value
