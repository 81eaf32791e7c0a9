"""What TensorRT-RTX cannot build for Turing (compute capability 7.5): a float32 matrix product, as our NMS has one."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

TURING = 75


def without_matmul(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with each MatMul inside a loop as multiplications and a sum.

    The NMS counts with it how many kept boxes overlap each box: whole numbers, so that no bit changes. Large products
    of a network would need too much memory so; those are outside of loops, and stay.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        if node.op_type == "Loop":
            for attribute in node.attribute:
                if attribute.name == "body":
                    _rewrite(attribute.g)
    return changed


def _rewrite(graph: onnx.GraphProto) -> None:
    nodes = [part for node in graph.node for part in (_as_sum(node) if node.op_type == "MatMul" else [node])]
    del graph.node[:]
    graph.node.extend(nodes)


def _as_sum(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Yield A (..., n, k, 1) times B (..., 1, k, m), summed over k."""
    (left, right), product = node.input, node.output[0]
    for name, axis in (("last", -1), ("third", -3), ("second", -2)):
        yield helper.make_node("Constant", [], [f"{product}.{name}"], value_ints=[axis])
    yield helper.make_node("Unsqueeze", [left, f"{product}.last"], [f"{product}.left"])
    yield helper.make_node("Unsqueeze", [right, f"{product}.third"], [f"{product}.right"])
    yield helper.make_node("Mul", [f"{product}.left", f"{product}.right"], [f"{product}.terms"])
    yield helper.make_node("ReduceSum", [f"{product}.terms", f"{product}.second"], [product], keepdims=0)
