"""One more build where TensorRT has no INT8 kernel for a layer: with that layer in float."""

from __future__ import annotations

import re

import onnx

_INT8_NODES = ("Conv", "ConvTranspose", "Add")


def int8_layers_in(fused: str, model: onnx.ModelProto) -> frozenset[str]:
    """Return the nodes of a graph that compute in INT8 and went into a layer of TensorRT.

    Args:
        fused: TensorRT's name of it, e.g. ``conv1.weight + conv1 + PWN(conv1.sigmoid, conv1.mul)``.
        model: the lowered graph.
    """
    quantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return frozenset(
        node.name
        for node in model.graph.node
        if node.op_type in _INT8_NODES and quantized.intersection(node.input) and _is_in(node.name, fused)
    )


def _is_in(name: str, fused: str) -> bool:
    """Whether a name stands in a fused one by itself, or with what belongs to its weights."""
    return bool(re.search(rf"(?<![\w./:-])(?:node_of_)?{re.escape(name)}(?:\.weight[\w.]*)?(?![\w/:-]|\.\w)", fused))
