"""Lets the first convolution read the picture's bytes: what comes before it goes into its weights.

Casting, swapping colours, subtracting the mean and dividing by the deviation are float passes over the whole picture.
All of it is linear, so ``W((p - mean) / std) + b = W'(p - z) + b'`` with ``W' = W / std`` and
``b' = b + sum W'(z - mean)``, the channels of W' in the picture's own order. The bytes p are 8-bit numbers already, of
scale 1 and zero point z, and lose nothing. z stands for what lies beyond the edge, where the network's zero padding
means the mean: for the byte nearest to the channels' means the difference is some grey levels, at the edge only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ssd_edge.precision.graph import Array, Graph, make_node

_PREPARING = ("Cast", "Transpose", "Gather", "Sub", "Div")


@dataclass(frozen=True)
class PixelInput:
    """How the picture's bytes are to be read.

    Attributes:
        tensor: (B, 3, H, W) uint8.
        zero_point: z, of scale 1.
        convolution: the first one; it has its new weights and bias, and waits for its input.
    """

    tensor: str
    zero_point: int
    convolution: onnx.NodeProto


def read_pixels(graph: Graph, convolution: onnx.NodeProto) -> PixelInput | None:
    """Fold what comes before ``convolution`` into it; None, and nothing done, where that is not our pre-processing."""
    chain = _chain(graph, convolution.input[0])
    if chain is None:
        return None
    order, mean, std = chain
    weight = graph.constants[convolution.input[1]]
    if weight.shape[1] != len(order):
        return None
    folded = np.zeros_like(weight)
    folded[:, order] = weight / std[None, :, None, None]
    means = np.zeros(len(order))
    means[order] = mean
    zero_point = int(np.clip(round(float(means.mean())), 0, 255))
    bias = graph.constants[convolution.input[2]] if len(convolution.input) > 2 else np.zeros(len(weight), np.float32)
    shifted = bias + (folded.sum(axis=(2, 3)) @ (zero_point - means)).astype(np.float32)
    name = convolution.name
    graph.rewire(convolution, 1, graph.constant(f"{name}.of_pixels", folded.astype(np.float32)))
    shifted_name = graph.constant(f"{name}.bias_of_pixels", shifted.astype(np.float32))
    if len(convolution.input) > 2:
        graph.rewire(convolution, 2, shifted_name)
    else:
        graph.extend(convolution, shifted_name)
    return PixelInput(_planes(graph), zero_point, convolution)


def _chain(graph: Graph, tensor: str) -> tuple[Array, Array, Array] | None:
    """Return channel order, mean and deviation of the nodes between the picture and a tensor; None for other nodes."""
    found: dict[str, onnx.NodeProto] = {}
    while (node := graph.producer(tensor)) is not None:
        if node.op_type not in _PREPARING or node.op_type in found or len(graph.consumers(tensor)) != 1:
            return None
        found[node.op_type] = node
        tensor = node.input[0]
    if tensor != graph.model.graph.input[0].name or not {"Cast", "Transpose", "Sub"} <= set(found):
        return None
    constants = {op: graph.constants.get(found[op].input[1]) for op in ("Gather", "Sub", "Div") if op in found}
    if any(value is None for value in constants.values()):
        return None
    order = constants.get("Gather")
    mean = np.asarray(constants["Sub"], np.float64).reshape(-1)
    std = np.asarray(constants.get("Div", np.ones(1)), np.float64).reshape(-1)
    channels = np.arange(3) if order is None else np.asarray(order).reshape(-1)
    return channels, np.broadcast_to(mean, (3,)), np.broadcast_to(std, (3,))


def _planes(graph: Graph) -> str:
    """Return the picture with its channels first, still in bytes."""
    picture = graph.model.graph.input[0].name
    return graph.add(make_node("Transpose", [picture], f"{picture}.planes", perm=[0, 3, 1, 2]))
