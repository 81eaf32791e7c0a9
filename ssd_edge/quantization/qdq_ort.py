"""INT8 for ONNX Runtime on a processor: QuantizeLinear and DequantizeLinear around all that it can compute in 8 bits.

Activations are unsigned with a zero point, weights signed and per channel: the form for which x86 has an instruction
(VPDPBUSD, "VNNI"). Without it ONNX Runtime uses VPMADDUBSW, which adds two products in 16 bits and saturates: there the
weights are scaled so that no pair can reach the limit (:mod:`ssd_edge.quantization.weight_scale`).
Arm's dot product takes signed activations. A ReLU or a clip behind a convolution is expressed by the range of its
output, and disappears into the convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx

from ssd_edge.backends.cpu import has_vnni
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.editor import Array, Graph, groups_of, make_node
from ssd_edge.quantization.gates import Gate, find_gates, read_stored
from ssd_edge.quantization.pixel_input import PIXELS, fold_pixels
from ssd_edge.quantization.weight_scale import stored_weights, weight_scale

_POOLS_OF_EQUAL_RANGE = ("MaxPool",)
_EIGHT_BIT = ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "Sigmoid")
_BIAS_LIMIT = 2.0**30


class Scheme(str, Enum):
    """Types of the 8-bit values; see the module docstring."""

    U8S8 = "u8s8"
    U8S8_PAIRED = "u8s8-paired"
    S8S8 = "s8s8"

    @property
    def saturates(self) -> bool:
        """Whether sums of two products have 16 bits only."""
        return self is Scheme.U8S8_PAIRED


def scheme_for(device: str) -> Scheme:
    """Return the scheme for a processor as :func:`ssd_edge.backends.cpu.cpu_device` names it."""
    if device.partition("+")[0] in ("aarch64", "arm64", "armv7l"):
        return Scheme.S8S8
    return Scheme.U8S8 if has_vnni(device) else Scheme.U8S8_PAIRED


@dataclass(frozen=True)
class Affine:
    """``real = (stored - zero_point) * scale``; both are per tensor."""

    scale: np.float32
    zero_point: Array  # a scalar of the stored type

    @classmethod
    def covering(cls, low: float, high: float, *, signed: bool) -> Affine:
        """Return 8 bits for a range; zero is always one of the 256 values, as padding needs it."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32((high - low) / 255) if high > low else np.float32(1)
        if not np.isfinite(scale) or scale <= np.finfo(np.float32).tiny:
            scale = np.float32(1)
        first = -128 if signed else 0
        zero = int(np.clip(round(first - low / float(scale)), first, first + 255))
        return cls(scale, np.array(zero, np.int8 if signed else np.uint8))


def quantize(
    model: onnx.ModelProto,
    table: CalibrationTable,
    *,
    scheme: Scheme = Scheme.U8S8,
    keep_float: frozenset[str] = frozenset(),
) -> onnx.ModelProto:
    """Return the model with its network in 8 bits; decoding, softmax, L2 norm and NMS stay float.

    Args:
        model: as exported.
        table: ranges of the exported file.
        scheme: see :func:`scheme_for`.
        keep_float: names of nodes that stay in float32.

    Raises:
        ArtifactError: the table lacks a tensor of the model.
    """
    graph = Graph(model)
    is_signed = scheme is Scheme.S8S8
    zero = None if is_signed else fold_pixels(graph, keep_float)
    pixels = {} if zero is None else {PIXELS: Affine(np.float32(1), np.array(zero, np.uint8))}
    convolutions = [node for node in graph.weighted("Conv") if node.name not in keep_float]
    gates = find_gates(graph, convolutions)
    known = pixels | _gated(gates, table, signed=is_signed)
    points = _points(graph, convolutions, table, keep_float, known, signed=is_signed)
    for node in convolutions:
        _quantize_weights(graph, node, points[node.input[0]].scale, saturates=scheme.saturates)
    opened = {gate.node.output[0] for gate in gates.values()}
    for tensor, affine in points.items():
        if tensor not in opened:
            stored = _insert(graph, tensor, affine, is_stored=tensor in pixels)
            if tensor in gates:
                read_stored(graph, gates[tensor], stored, affine.scale, affine.zero_point)
    return graph.finished()


def _gated(gates: Mapping[str, Gate], table: CalibrationTable, *, signed: bool) -> dict[str, Affine]:
    """Return how each tensor that opens a gate is stored, and the gate."""
    kind: type[np.int8 | np.uint8] = np.int8 if signed else np.uint8
    first = np.iinfo(kind).min
    points: dict[str, Affine] = {}
    for tensor, gate in gates.items():
        high = range_of(table, tensor)[1]
        scale = np.float32(gate.step(high))
        points[tensor] = Affine(scale, np.array(first + gate.steps_below_zero(high), kind))
        points[gate.node.output[0]] = Affine(np.float32(gate.alpha * float(scale)), np.array(first, kind))
    return points


def _points(
    graph: Graph,
    convolutions: list[onnx.NodeProto],
    table: CalibrationTable,
    keep_float: frozenset[str],
    known: dict[str, Affine],
    *,
    signed: bool,
) -> dict[str, Affine]:
    """Return the tensors that are stored in 8 bits: around convolutions, and where 8 bits go in and can come out."""
    points = dict(known)

    def cover(tensor: str) -> None:
        if tensor not in points:
            low, high = range_of(table, tensor)
            points[tensor] = Affine.covering(low, high, signed=signed)

    for node in convolutions:
        cover(node.input[0])
        cover(graph.activated(node))
    for node in graph.nodes:
        if node.name in keep_float or not node.input or any(name not in points for name in node.input):
            continue
        if node.op_type in _POOLS_OF_EQUAL_RANGE:
            points[node.output[0]] = points[node.input[0]]
        elif node.op_type in _EIGHT_BIT and graph.activated(node) in table.ranges:
            cover(graph.activated(node))
    return points


def range_of(table: CalibrationTable, tensor: str) -> tuple[float, float]:
    """Return the range of a tensor.

    Raises:
        ArtifactError: it was not measured.
    """
    found = table.ranges.get(tensor)
    if found is None:
        raise ArtifactError(
            f"the calibration table of {table.model} has no range for {tensor}",
            got=f"{len(table.ranges)} others",
            do="Calibrate again: ssd-edge calibrate",
        )
    return found.low, found.high


def _quantize_weights(graph: Graph, node: onnx.NodeProto, input_scale: np.float32, *, saturates: bool) -> None:
    """Give a convolution int8 weights, a scale for each output channel, and an int32 bias of the product's scale."""
    weight = graph.constants[node.input[1]]
    bias = graph.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    scale = weight_scale(weight, groups=groups_of(node), saturates=saturates)
    if bias is not None:
        # A bias that is large beside its weights would overflow int32; then the weights get a coarser scale.
        scale = np.maximum(scale, np.abs(bias) / (float(input_scale) * _BIAS_LIMIT)).astype(np.float32)
    stored = stored_weights(weight, _along(scale, weight))
    graph.rewire(node, 1, _dequantized(graph, f"{node.name}.weight", stored, scale))
    if bias is not None:
        product = (scale * input_scale).astype(np.float32)
        graph.rewire(
            node, 2, _dequantized(graph, f"{node.name}.bias", np.rint(bias / product).astype(np.int32), product)
        )


def _along(scale: Array, weight: Array) -> Array:
    return scale.reshape(-1, *([1] * (weight.ndim - 1)))


def _dequantized(graph: Graph, name: str, stored: Array, scale: Array) -> str:
    inputs = [
        graph.constant(f"{name}.stored", stored),
        graph.constant(f"{name}.scale", scale),
        graph.constant(f"{name}.zero", np.zeros(len(scale), stored.dtype)),
    ]
    return graph.add(make_node("DequantizeLinear", inputs, f"{name}.dequantised", axis=0))


def _insert(graph: Graph, tensor: str, affine: Affine, *, is_stored: bool) -> str:
    """Put Q and DQ behind a tensor, or DQ alone behind one of 8 bits; all its readers get what comes out.

    Returns:
        The tensor in 8 bits.
    """
    scale = graph.constant(f"{tensor}.scale", np.array(affine.scale, np.float32))
    zero = graph.constant(f"{tensor}.zero", affine.zero_point)
    maker, stored = None, tensor
    if not is_stored:
        maker = make_node("QuantizeLinear", [tensor, scale, zero], f"{tensor}.quantised")
        stored = graph.add(maker)
    back = make_node("DequantizeLinear", [stored, scale, zero], f"{tensor}.dequantised")
    graph.redirect(tensor, str(back.output[0]), keep=maker)
    graph.add(back)
    return stored
