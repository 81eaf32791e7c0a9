"""Hard-swish and hard-sigmoid behind 8-bit convolutions, without a step back to float.

``HardSigmoid(x) = clip(alpha * x + beta, 0, 1)`` is a straight line between two clips, and so is quantization. Where x
is stored so that its least value is the one at which the line leaves 0, the stored bytes are those of the gate too,
under another scale, but for those above the point where the line reaches 1: a clip of bytes. ``HardSwish(x) = x *
HardSigmoid(x)`` then is that clip and a product of 8-bit tensors, exact as before: below the least value it is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from ssd_edge.graph.editor import Array, Graph, make_node

_LEVELS = 255


@dataclass(frozen=True)
class Gate:
    """A HardSigmoid that alone reads an 8-bit convolution, or together with the product that it gates.

    Attributes:
        node: the HardSigmoid.
        alpha, beta: of its line.
        is_product: what it gates is the convolution's own output.
    """

    node: onnx.NodeProto
    alpha: float
    beta: float
    is_product: bool

    @property
    def low(self) -> float:
        """Input at which the line leaves 0; negative."""
        return -self.beta / self.alpha

    @property
    def high(self) -> float:
        """Input at which the line reaches 1."""
        return (1 - self.beta) / self.alpha

    def steps_below_zero(self, high: float) -> int:
        """Return how many of 255 steps lie between ``low`` and 0, where the range must reach ``high``."""
        reach = max(high, 0.0) if self.is_product else self.high
        return max(1, min(_LEVELS, math.floor(_LEVELS * -self.low / (reach - self.low))))

    def step(self, high: float) -> float:
        """Return the scale of the convolution's output: ``low`` is a whole number of steps away."""
        return -self.low / self.steps_below_zero(high)


def find_gates(graph: Graph, convolutions: list[onnx.NodeProto]) -> dict[str, Gate]:
    """Return the gates by the tensor that they read, each hard-swish behind a convolution split into gate and product.

    Args:
        graph: to be edited.
        convolutions: those that run in 8 bits.
    """
    found: dict[str, Gate] = {}
    for node in convolutions:
        tensor = node.output[0]
        readers = graph.consumers(tensor)
        if len(readers) == 1 and readers[0].op_type == "HardSwish":
            readers = _split(graph, readers[0])
        gate = _gate_of(readers)
        if gate is not None:
            found[tensor] = gate
    return found


def _split(graph: Graph, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Put ``HardSigmoid`` and ``Mul`` in the place of a ``HardSwish``."""
    tensor, output = node.input[0], node.output[0]
    gate = make_node("HardSigmoid", [tensor], f"{output}.gate", alpha=1 / 6, beta=0.5)
    product = helper.make_node("Mul", [tensor, gate.output[0]], [output], node.name)
    graph.replace(node, [gate, product])
    return [gate, product]


def _gate_of(readers: list[onnx.NodeProto]) -> Gate | None:
    gates = [node for node in readers if node.op_type == "HardSigmoid"]
    if len(gates) != 1:
        return None
    values = {entry.name: helper.get_attribute_value(entry) for entry in gates[0].attribute}
    alpha, beta = values.get("alpha", 0.2), values.get("beta", 0.5)
    products = [node for node in readers if node.op_type == "Mul" and gates[0].output[0] in node.input]
    is_whole = len(gates) + len(products) == len(readers) and len(products) <= 1
    return Gate(gates[0], alpha, beta, bool(products)) if is_whole and alpha > 0 and 0 < beta < 1 else None


def read_stored(graph: Graph, gate: Gate, stored: str, scale: np.float32, zero_point: Array) -> None:
    """Let what reads a gate's output read the convolution's bytes, clipped, under the gate's scale.

    Args:
        graph: to be edited.
        gate: one that :func:`find_gates` found.
        stored: the convolution's output in 8 bits.
        scale: of it.
        zero_point: of it.
    """
    output = gate.node.output[0]
    info = np.iinfo(zero_point.dtype)
    top = info.min + round((gate.high - gate.low) / float(scale))
    if top < info.max - 1:  # one step above 1 is no more than what rounding takes
        limit = graph.constant(f"{output}.limit", np.array(top, zero_point.dtype))
        stored = graph.add(make_node("Clip", [stored, "", limit], f"{output}.stored"))
    inputs = [
        stored,
        graph.constant(f"{output}.scale", np.array(gate.alpha * float(scale), np.float32)),
        graph.constant(f"{output}.zero", np.array(info.min, zero_point.dtype)),
    ]
    back = make_node("DequantizeLinear", inputs, f"{output}.dequantised")
    graph.redirect(output, str(back.output[0]))
    graph.add(back)
