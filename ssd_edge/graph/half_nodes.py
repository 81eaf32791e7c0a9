"""Nodes of a network that may compute in half precision, in a typed graph and under TensorRT's flags alike."""

from __future__ import annotations

import onnx

from ssd_edge.graph.editor import Graph, network_nodes

_SUMS_OF_SQUARES = ("ReduceL2", "ReduceSumSquare", "LpNormalization")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
_ENDS_NORM = (*_WEIGHTED, "QuantizeLinear")


def half_nodes(graph: Graph, keep_float: frozenset[str] = frozenset()) -> set[int]:
    """Return the ids of the nodes that compute in half precision: the first convolutions and what comes behind them."""
    behind: set[str] = set()
    normed: set[str] = set()
    half: set[int] = set()
    for node in network_nodes(graph):
        is_behind = node.op_type in _WEIGHTED or bool(behind & set(node.input))
        is_norm = node.op_type in _SUMS_OF_SQUARES or (
            node.op_type not in _ENDS_NORM and bool(normed & set(node.input))
        )
        if is_norm:
            normed.update(node.output)
        elif node.name not in keep_float and (
            is_behind or node.op_type == "DequantizeLinear" or _stores_weight(graph, node)
        ):
            half.add(id(node))
        if is_behind:
            behind.update(node.output)
    return half


def _stores_weight(graph: Graph, node: onnx.NodeProto) -> bool:
    return node.op_type == "QuantizeLinear" and node.input[0] in graph.constants


def half_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of the nodes that may compute in half precision; all others overflow or lose whole numbers.

    A node without a name goes by its first output.
    """
    graph = Graph(model)
    allowed = half_nodes(graph)
    return frozenset(node.name or node.output[0] for node in graph.nodes if id(node) in allowed)
