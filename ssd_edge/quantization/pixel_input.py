"""Lets the first convolution of an INT8 network read the image as it is: its bytes are 8 bits already.

The float road of an exported graph is Cast, Transpose, Gather (color order), Sub (mean), Div (deviation), and then the
image is rounded to 8 bits again. All of it is linear, so it goes into the convolution: colors and deviations into
the weights, means into the bias and the zero point. That saves the float passes over the image, and its rounding.

Padding is of the color of the means, and one zero point can stand for one mean only. Where the means differ, as VGG's
do, the image gets a border of that color instead, and the convolution pads no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.graph.border import border
from ssd_edge.graph.editor import Array, Graph, make_node

PIXELS = f"{INPUT_NAME}.channels_first"
_MOST_PADDING_ERROR = 1.0  # in gray levels


@dataclass(frozen=True)
class _Entry:
    """Preprocessing: channel ``c`` of the network is ``(pixel[order[c]] - mean[c]) / deviation[c]``."""

    convolution: onnx.NodeProto
    order: Array
    mean: Array
    deviation: Array


def fold_pixels(graph: Graph, keep_float: frozenset[str]) -> int | None:
    """Let the first convolution read :data:`PIXELS`, uint8 less the returned zero point, instead of normalized floats.

    Returns:
        The zero point; None, and the graph as it was, where the graph begins in another way, the convolution stays
        float, or it pads by a rule (``auto_pad``) with means that differ by more than a gray level.
    """
    entry = _entry(graph)
    if entry is None or entry.convolution.name in keep_float:
        return None
    zero = int(np.clip(np.rint(entry.mean.mean()), 0, 255))
    pixels = INPUT_NAME
    if _pads(entry.convolution) and np.abs(entry.mean - zero).max() > _MOST_PADDING_ERROR:
        if not any(_attribute(entry.convolution, "pads", [])):
            return None
        pixels = _bordered(graph, entry)
    _rewrite(graph, entry, pixels, zero)
    return zero


def _bordered(graph: Graph, entry: _Entry) -> str:
    """Give the image a border in the place of the convolution's padding; return its name."""
    image = graph.model.graph.input[0].type.tensor_type.shape.dim
    pads = next(attribute for attribute in entry.convolution.attribute if attribute.name == "pads")
    color = np.empty(3, np.uint8)
    color[entry.order] = np.clip(np.rint(entry.mean), 0, 255)
    widths, canvas = border(image[1].dim_value, image[2].dim_value, pads.ints, color)
    pads.ints[:] = [0, 0, 0, 0]
    padded = make_node("Pad", [INPUT_NAME, graph.constant(f"{INPUT_NAME}.border", widths)], f"{INPUT_NAME}.padded")
    inputs = [graph.add(padded), graph.constant(f"{INPUT_NAME}.canvas", canvas)]
    return graph.add(make_node("Max", inputs, f"{INPUT_NAME}.bordered"))


def _rewrite(graph: Graph, entry: _Entry, image: str, zero: int) -> None:
    node = entry.convolution
    weight = graph.constants[node.input[1]].astype(np.float64) / entry.deviation.reshape(1, 3, 1, 1)
    offset = np.einsum("ochw,c->o", weight, entry.mean - zero)
    folded = np.zeros_like(weight)
    folded[:, entry.order] = weight
    bias = graph.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else np.zeros(len(weight))
    pixels = graph.add(make_node("Transpose", [image], PIXELS, perm=[0, 3, 1, 2]))
    graph.rewire(node, 0, pixels)
    graph.rewire(node, 1, graph.constant(f"{node.name}.pixels.weight", folded.astype(np.float32)))
    name = graph.constant(f"{node.name}.pixels.bias", (bias - offset).astype(np.float32))
    if len(node.input) > 2:
        graph.rewire(node, 2, name)
    else:
        node.input.append(name)
    graph.drop_unread()


def _entry(graph: Graph) -> _Entry | None:
    """Follow the image to its first convolution."""
    order, mean, deviation = np.arange(3), np.zeros(3), np.ones(3)
    tensor = INPUT_NAME
    seen: list[str] = []
    while len(graph.consumers(tensor)) == 1:
        node = graph.consumers(tensor)[0]
        seen.append(node.op_type)
        if node.op_type == "Conv":
            fits = seen[:2] == ["Cast", "Transpose"] and node.input[1] in graph.constants and _has_colors(graph, node)
            return _Entry(node, order, mean, deviation) if fits else None
        if node.op_type == "Gather" and seen == ["Cast", "Transpose", "Gather"] and _attribute(node, "axis", 0) == 1:
            order = graph.constants[node.input[1]].reshape(-1)
        elif node.op_type in ("Sub", "Div") and _is_per_channel(graph, node):
            value = np.broadcast_to(graph.constants[node.input[1]].reshape(-1), 3).astype(np.float64)
            mean = mean + deviation * value if node.op_type == "Sub" else mean
            deviation = deviation * value if node.op_type == "Div" else deviation
        elif not (node.op_type == "Cast" or (node.op_type == "Transpose" and _perm(node) == [0, 3, 1, 2])):
            return None
        tensor = node.output[0]
    return None


def _is_per_channel(graph: Graph, node: onnx.NodeProto) -> bool:
    value = graph.constants.get(node.input[1])
    return value is not None and (value.size == 1 or (value.size == 3 and value.shape[-3:] == (3, 1, 1)))


def _has_colors(graph: Graph, node: onnx.NodeProto) -> bool:
    return bool(_attribute(node, "group", 1) == 1) and graph.constants[node.input[1]].shape[1:2] == (3,)


def _pads(node: onnx.NodeProto) -> bool:
    return any(_attribute(node, "pads", [])) or _attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")


def _perm(node: onnx.NodeProto) -> list[int]:
    return list(_attribute(node, "perm", []))


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((entry for entry in node.attribute if entry.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
