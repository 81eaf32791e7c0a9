"""How much of a lowered graph runs in INT8."""

from __future__ import annotations

import onnx

from ssd_edge.graph.editor import Graph


def quantised_convolutions(model: onnx.ModelProto) -> int:
    """Count the convolutions whose input and weight are both dequantized: those that run in INT8."""
    graph = Graph(model)
    return sum(
        all(_is_dequantised(graph, name) for name in node.input[:2])
        for node in graph.nodes
        if node.op_type in ("Conv", "ConvTranspose")
    )


def _is_dequantised(graph: Graph, tensor: str) -> bool:
    maker = graph.producer(tensor)
    return maker is not None and maker.op_type == "DequantizeLinear"
