"""INT8 for TensorRT 8.5 to 11, TensorRT-RTX and OpenVINO: explicit, symmetric Q/DQ where these fuse it.

What the parsers of all these releases take, and their kernels want: zero point 0; weights per output
channel; biases in float; Q/DQ on the *inputs* of convolutions only, so that a convolution's bias and
activation are part of it; in a residual sum on the skip branch only, so that the sum becomes part of the convolution in
the other; one scale for all that a concatenation joins, so that nothing is rescaled in between. Pooling commutes with Q
and needs none of its own. Decoding, softmax, L2 norm and NMS stay float, and so do the heads' outputs. ONNX Runtime
runs the same graph, which predicts the accuracy of the engine.

OpenVINO gets the same places. Its kernels multiply unsigned activations by signed weights: there what is never negative
(behind a ReLU) is unsigned, and has one bit more. Zero points stay 0, as others cost a correction in each kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import numpy as np
import onnx

from ssd_edge.core.calibration_table import CalibrationTable, symmetric_scale
from ssd_edge.graph.editor import Graph, groups_of, make_node
from ssd_edge.quantization.qdq_ort import Affine, range_of
from ssd_edge.quantization.weight_scale import stored_weights, weight_scale


def quantize(
    model: onnx.ModelProto,
    table: CalibrationTable,
    *,
    keep_float: frozenset[str] = frozenset(),
    stored_weights: bool = True,
    unsigned: bool = False,
    saturates: bool = False,
) -> onnx.ModelProto:
    """Return the model with Q/DQ around what must run in INT8.

    Args:
        model: as exported.
        table: ranges of the exported file.
        keep_float: names of nodes that stay in float.
        stored_weights: write weights as int8; else as float with Q and DQ, which is what the parsers of 8.x fuse
            surely. The engine is the same network, but TensorRT-RTX keeps what it is given: four bytes or one.
        unsigned: store activations that are never negative in uint8, for OpenVINO.
        saturates: a kernel adds two products in 16 bits, as OpenVINO's do on x86 without VNNI.

    Raises:
        ArtifactError: the table lacks a tensor of the model.
    """
    graph = Graph(model)
    convolutions = [node for node in graph.weighted("Conv", "ConvTranspose") if node.name not in keep_float]
    amax = _shared(graph, {node.input[0]: _amax(table, node.input[0]) for node in convolutions})
    skips = [(node, position) for node, position in _skip_branches(graph) if node.name not in keep_float]
    signed = _signed(graph, table, amax.keys() | {node.input[position] for node, position in skips}, unsigned=unsigned)
    dequantised: dict[str, str] = {}
    for node in convolutions:
        _quantize_weights(graph, node, saturates=saturates, stored=stored_weights)
    for node, position in [*((node, 0) for node in convolutions), *skips]:
        tensor = node.input[position]
        stored = _symmetric(amax.get(tensor) or _amax(table, tensor), signed=tensor in signed)
        _read_quantized(graph, node, position, stored, dequantised)
    return graph.finished()


def _amax(table: CalibrationTable, tensor: str) -> float:
    low, high = range_of(table, tensor)
    return max(abs(low), abs(high))


def _shared(graph: Graph, amax: dict[str, float]) -> dict[str, float]:
    """Return the magnitudes with one for all inputs of a concatenation, and for what it gives."""
    shared = dict(amax)
    for node in graph.nodes:
        joined = [*node.input, node.output[0]] if node.op_type == "Concat" else []
        known = [shared[name] for name in joined if name in shared]
        if known and node.output[0] in shared:
            shared.update(dict.fromkeys(joined, max(known)))
    return shared


def _signed(graph: Graph, table: CalibrationTable, tensors: Set[str], *, unsigned: bool) -> Set[str]:
    """Return those of the tensors that are stored with a sign; what a concatenation joins is stored alike."""
    if not unsigned:
        return tensors
    signed = {name for name in tensors if name not in table.ranges or range_of(table, name)[0] < 0}
    for node in graph.nodes:
        joined = [*node.input, node.output[0]] if node.op_type == "Concat" else []
        if node.output[0] in tensors and signed.intersection(joined):
            signed.update(joined)
    return signed


def _symmetric(amax: float, *, signed: bool) -> Affine:
    """Return 8 bits with zero point 0 for magnitudes up to ``amax``."""
    levels, kind = (127, np.int8) if signed else (255, np.uint8)
    return Affine(np.float32(symmetric_scale(amax, levels)), np.array(0, kind))


def _skip_branches(graph: Graph) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Yield each residual sum whose one branch comes straight from a convolution, with the position of the other."""
    for node in graph.nodes:
        if node.op_type != "Add" or any(name in graph.constants for name in node.input):
            continue
        direct = [_is_convolution(graph, name) for name in node.input]
        if any(direct):
            # Of two convolutions, the one that was made first ends the skip branch (a projection).
            yield node, direct.index(False) if not all(direct) else 0


def _is_convolution(graph: Graph, tensor: str) -> bool:
    maker = graph.producer(tensor)
    return maker is not None and maker.op_type == "Conv" and len(graph.consumers(tensor)) == 1


def _quantize_weights(graph: Graph, node: onnx.NodeProto, *, saturates: bool, stored: bool) -> None:
    weight = graph.constants[node.input[1]]
    axis = 1 if node.op_type == "ConvTranspose" else 0
    scale = weight_scale(
        np.moveaxis(weight, axis, 0), groups=groups_of(node), transposed=axis == 1, saturates=saturates
    )
    names = [
        graph.constant(f"{node.name}.weight.scale", scale),
        graph.constant(f"{node.name}.weight.zero", np.zeros(len(scale), np.int8)),
    ]
    if stored:
        along = scale.reshape([-1 if number == axis else 1 for number in range(weight.ndim)])
        inputs = [graph.constant(f"{node.name}.weight.stored", stored_weights(weight, along)), *names]
        dequantize = make_node("DequantizeLinear", inputs, f"{node.name}.weight.dequantised", axis=axis)
        graph.rewire(node, 1, graph.add(dequantize))
    else:
        graph.rewire(node, 1, _pair(graph, node.input[1], f"{node.name}.weight", *names, axis=axis))


def _read_quantized(
    graph: Graph, node: onnx.NodeProto, position: int, stored: Affine, dequantised: dict[str, str]
) -> None:
    """Let a node read what 8 bits leave of its input; readers of one tensor share the pair."""
    tensor = node.input[position]
    if tensor not in dequantised:
        scale = graph.constant(f"{tensor}.scale", np.array(stored.scale, np.float32))
        zero = graph.constant(f"{tensor}.zero", stored.zero_point)
        dequantised[tensor] = _pair(graph, tensor, tensor, scale, zero)
    graph.rewire(node, position, dequantised[tensor])


def _pair(graph: Graph, tensor: str, name: str, scale: str, zero: str, **attributes: int) -> str:
    """Add Q and DQ and return what comes out."""
    stored = graph.add(make_node("QuantizeLinear", [tensor, scale, zero], f"{name}.quantised", **attributes))
    return graph.add(make_node("DequantizeLinear", [stored, scale, zero], f"{name}.dequantised", **attributes))
