"""Counts what a network computes from its graph: the multiply-adds of convolutions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from ssd_edge.graph.editor import copied

Shapes = Mapping[str, tuple[int, ...]]


def count_macs(model: onnx.ModelProto) -> int:
    """Return the multiply-adds of one image through an exported model.

    Counted are Conv, ConvTranspose, Gemm and MatMul of the graph, as all that count FLOPs do; activations, decoding and
    the NMS, which is a function of its own, are not. One multiply-add is two FLOPs.
    """
    shapes = _shapes(model)
    return sum(_COUNTERS[node.op_type](node, shapes) for node in model.graph.node if node.op_type in _COUNTERS)


def _shapes(model: onnx.ModelProto) -> Shapes:
    """Return the shape of every tensor that has a known one, for one image."""
    single = copied(model)
    for entry in single.graph.input:
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    found = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    for entry in [*graph.input, *graph.value_info, *graph.output]:
        found[entry.name] = tuple(axis.dim_value for axis in entry.type.tensor_type.shape.dim)
    return found


def _convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Each output value takes one product for every weight of its filter: (out, in / groups, height, width)."""
    weights = shapes.get(node.input[1], ())
    return math.prod(shapes.get(node.output[0], (0,))) * math.prod(weights[1:])


def _transposed(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Each input value is multiplied by every weight of its filters: (in, out / groups, height, width)."""
    weights = shapes.get(node.input[1], ())
    return math.prod(shapes.get(node.input[0], (0,))) * math.prod(weights[1:])


def _product(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Each output value is a sum over the common axis, the last of the first factor unless that is transposed."""
    first = shapes.get(node.input[0], ())
    is_transposed = any(entry.name == "transA" and entry.i for entry in node.attribute)
    common = first[0 if is_transposed else -1] if first else 0
    return math.prod(shapes.get(node.output[0], (0,))) * common


_COUNTERS: Mapping[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _product,
    "MatMul": _product,
}
