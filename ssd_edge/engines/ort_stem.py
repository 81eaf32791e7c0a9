"""The first convolution of an INT8 engine for ONNX Runtime, made to read four columns of the image at a time.

ONNX Runtime gathers the 3 x 3 pixels under each output, three bytes each, before it multiplies them: more work than the
multiplication. Bytes of neighboring columns lie side by side, so that an image of H x W x 3 is, without a copy, one
of H x W/4 x 12, and an output of H/2 x W/4 x 2N one of H/2 x W/2 x N. The convolution between those two has twice the
outputs and steps over half as many places (of stride 1, as VGG's, four times the outputs, over a quarter). Its new
weights are zero wherever an output does not see a column: the integer sums, and so the bytes it puts out, are the same.
And 12 channels are a multiple of 4, for which there is a kernel that multiplies and rounds in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.graph.border import border
from ssd_edge.graph.editor import drop_unread_constants, replace_all

Array = npt.NDArray[Any]
_COLUMNS = 4  # read at a time
_STRIDES = (1, 2)
_WEIGHT, _SCALE, _ZERO, _BIAS = 3, 4, 5, 8  # inputs of QLinearConv


@dataclass(frozen=True)
class _Stem:
    """A convolution that reads the image's bytes, and whose width is the image's over the stride."""

    node: onnx.NodeProto
    stride: int
    height: int
    width: int
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    border: _Border | None = None  # what stands in the place of the pads


@dataclass(frozen=True)
class _Border:
    """The image with a border of one color, as INT8 gets it where one zero point cannot stand for it."""

    pad: onnx.NodeProto
    maximum: onnx.NodeProto
    pads: tuple[int, int, int, int]
    color: Array


def read_columns_together(model: onnx.ModelProto) -> bool:
    """Change the first convolution of an optimized graph in place; return whether there was one to change.

    It must read ``images`` as (B, H, W, 3) uint8, as they are or with a border of one color, with stride 1 or 2, and
    make as many columns as that leaves of W, a multiple of 4.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    stem = _find(model.graph, constants)
    if stem is None:
        return False
    _replace(model.graph, stem, {name: numpy_helper.to_array(constants[name]) for name in stem.node.input[1:]})
    return True


def _find(graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> _Stem | None:
    bordered = _find_border(graph, constants)
    node = _only_reader(graph, bordered.maximum.output[0] if bordered else INPUT_NAME)
    if node is None or node.op_type != "QLinearConv" or len(node.input) != _BIAS + 1:
        return None
    options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    image = next(entry for entry in graph.input if entry.name == INPUT_NAME).type.tensor_type.shape.dim
    height, width = image[1].dim_value, image[2].dim_value
    if not all(name in constants for name in node.input[1:]) or np.any(
        numpy_helper.to_array(constants[node.input[_ZERO]])
    ):
        return None
    pads = options.get("pads", [0, 0, 0, 0])
    if bordered is not None and any(pads):
        return None
    top, left, bottom, right = bordered.pads if bordered else pads
    kernel_width = constants[node.input[_WEIGHT]].dims[3]
    stride, other = list(options.get("strides", [1, 1]))
    fits = (
        options.get("channels_last") == 1
        and options.get("group", 1) == 1
        and list(options.get("dilations", [1, 1])) == [1, 1]
        and options.get("auto_pad", b"NOTSET") == b"NOTSET"
        and stride == other
        and stride in _STRIDES
        and width % _COLUMNS == 0
        and (width + left + right - kernel_width) // stride + 1 == width // stride
    )
    return _Stem(node, stride, height, width, (top, left, bottom, right), bordered) if fits else None


def _only_reader(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    readers = [node for node in graph.node if tensor in node.input]
    return readers[0] if len(readers) == 1 else None


def _find_border(graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> _Border | None:
    """Return the border that :mod:`ssd_edge.graph.border` makes around the image, where there is one."""
    pad = _only_reader(graph, INPUT_NAME)
    if pad is None or pad.op_type != "Pad" or len(pad.input) != 2 or pad.input[1] not in constants:
        return None
    maximum = _only_reader(graph, pad.output[0])
    if maximum is None or maximum.op_type != "Max" or len(maximum.input) != 2:
        return None
    canvas = next((constants[name] for name in maximum.input if name in constants), None)
    _, top, left, _, _, bottom, right, _ = numpy_helper.to_array(constants[pad.input[1]]).tolist()
    if canvas is None:
        return None
    return _Border(pad, maximum, (top, left, bottom, right), numpy_helper.to_array(canvas).max(axis=(0, 1, 2)))


def _replace(graph: onnx.GraphProto, stem: _Stem, values: dict[str, Array]) -> None:
    node, stride = stem.node, stem.stride
    top, left, bottom, _ = stem.pads
    weight = values[node.input[_WEIGHT]]
    outputs = _COLUMNS // stride
    first, grouped = _group_columns(weight, left, stride)
    kernel_height, blocks = grouped.shape[2:]
    height = (stem.height + top + bottom - kernel_height) // stride + 1
    pads = (top, -first, bottom, blocks - 1 + first)  # in groups
    source, makers, new = _source(stem, pads)
    new |= {
        f"{node.name}.columns.weight": grouped,
        f"{node.name}.columns.bias": np.tile(values[node.input[_BIAS]], outputs),
        f"{node.name}.columns.scale": _repeated(values[node.input[_SCALE]], outputs),
        f"{node.name}.columns.zero": _repeated(values[node.input[_ZERO]], outputs),
        f"{node.name}.columns.output": np.array([0, height, stem.width // stride, len(weight)]),
    }
    weight_name, bias_name, scale_name, zero_name, output_shape = list(new)[-5:]
    made = f"{node.name}.columns.made"
    convolution = helper.make_node(
        "QLinearConv",
        [source, *node.input[1:3], weight_name, scale_name, zero_name, *node.input[6:8], bias_name],
        [made],
        node.name,
        domain=node.domain,
        channels_last=1,
        kernel_shape=[kernel_height, blocks],
        strides=[stride, 1],
        pads=[0, 0, 0, 0] if stem.border else pads,
    )
    after = helper.make_node("Reshape", [made, output_shape], list(node.output), f"{node.name}.rows")
    old = [node, *([stem.border.pad, stem.border.maximum] if stem.border else [])]
    place = list(graph.node).index(node)
    kept = [[entry for entry in part if entry not in old] for part in (graph.node[:place], graph.node[place:])]
    replace_all(graph.node, [*kept[0], *makers, convolution, after, *kept[1]])
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in new.items())
    drop_unread_constants(graph, [tensor.name for tensor in graph.initializer])


def _source(stem: _Stem, pads: tuple[int, int, int, int]) -> tuple[str, list[onnx.NodeProto], dict[str, Array]]:
    """Return the image in groups of columns, the nodes that make it, and their constants.

    Args:
        stem: the convolution that reads it.
        pads: the border that the image may have: rows, and groups of columns.
    """
    name, tensor, nodes, constants = stem.node.name, INPUT_NAME, list[onnx.NodeProto](), dict[str, Array]()
    height, width = stem.height, stem.width
    if stem.border is not None:
        top, left, bottom, right = pads
        widths, canvas = border(height, width, (top, left * _COLUMNS, bottom, right * _COLUMNS), stem.border.color)
        height, width = canvas.shape[1:3]
        constants |= {f"{name}.columns.border": widths, f"{name}.columns.canvas": canvas}
        padded, tensor = f"{name}.columns.padded", f"{name}.columns.bordered"
        nodes.append(helper.make_node("Pad", [INPUT_NAME, f"{name}.columns.border"], [padded], padded))
        nodes.append(helper.make_node("Max", [padded, f"{name}.columns.canvas"], [tensor], tensor))
    constants[f"{name}.columns.image"] = np.array([0, height, width // _COLUMNS, 3 * _COLUMNS])
    read = f"{name}.columns.read"
    nodes.append(helper.make_node("Reshape", [tensor, f"{name}.columns.image"], [read], f"{name}.columns"))
    return read, nodes, constants


def _group_columns(weight: Array, left: int, stride: int) -> tuple[int, Array]:
    """Spread (N, C, kh, kw) weights over groups of columns.

    Returns:
        The first group that the outputs of group 0 see, 0 or negative, and (4N / stride, 4C, kh, groups) weights.
    """
    together = _COLUMNS // stride
    outputs, channels, height, width = weight.shape
    seen = [[stride * output - left + column for column in range(width)] for output in range(together)]
    first, last = seen[0][0] // _COLUMNS, seen[-1][-1] // _COLUMNS
    spread = np.zeros((together, outputs, _COLUMNS, channels, height, last - first + 1), weight.dtype)
    for output, columns in enumerate(seen):
        for column, place in enumerate(columns):
            spread[output, :, place % _COLUMNS, :, :, place // _COLUMNS - first] = weight[..., column]
    return first, spread.reshape(together * outputs, _COLUMNS * channels, height, -1)


def _repeated(value: Array, times: int) -> Array:
    """Return one value for each output, where there was one for each."""
    return np.tile(value, times) if value.size > 1 else value
