"""Which tensors of an exported graph need a range."""

from __future__ import annotations

import onnx

from ssd_edge.precision.graph import Graph, network_nodes

_IN_EIGHT_BITS = ("Conv", "ConvTranspose", "Add", "Mul", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")


def observed_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the names of the tensors that some lowering stores in 8 bits, in the order of the graph.

    They are what goes into convolutions, sums, products, concatenations and pools of the network, and what comes out,
    behind the ReLU or clip that belongs to it. Pre-processing, decoding and NMS have none.
    """
    graph = Graph(model)
    behind: set[str] = set()
    names: dict[str, None] = {}
    for node in network_nodes(graph):
        is_behind = node.op_type in ("Conv", "ConvTranspose") or bool(behind & set(node.input))
        if is_behind:
            behind.update(node.output)
        if is_behind and node.op_type in _IN_EIGHT_BITS:
            inputs = node.input[:1] if node.op_type.startswith("Conv") else node.input
            names |= dict.fromkeys(name for name in inputs if name not in graph.constants)
            names[graph.activated(node)] = None
    return list(names)
