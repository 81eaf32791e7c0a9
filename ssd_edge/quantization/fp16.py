"""FP16 as typed tensors: the only way in TensorRT 11 and TensorRT-RTX, and one that works from 8.5 on.

The network's convolutions and all between them compute in half precision. Pre-processing, the heads' outputs, decoding
and NMS stay float32, as do sums of squares (the L2 norm of SSD's conv4_3), which overflow in half precision, and what
follows them up to the next convolution, where a small epsilon would vanish.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.editor import Array, Graph, make_node, network_nodes
from ssd_edge.graph.half_nodes import half_nodes
from ssd_edge.graph.opset import raise_opset

_LARGEST = float(np.finfo(np.float16).max)
_SMALLEST_SCALE = np.float16(2.0**-24)
_HALF_SCALES_SINCE = 19  # the opset whose Q and DQ take float16


def to_half(model: onnx.ModelProto, *, keep_float: frozenset[str] = frozenset()) -> onnx.ModelProto:
    """Return the model with its network in half precision; Q/DQ nodes of an INT8 network are typed along.

    Args:
        model: as exported, or as :func:`ssd_edge.quantization.qdq_tensorrt.quantize` gave it.
        keep_float: names of nodes that stay in float32.

    Raises:
        ArtifactError: a weight is too large for half precision.
    """
    graph = Graph(model)
    typer = _Typer(graph, half_nodes(graph, keep_float))
    for node in list(graph.nodes):
        typer.settle(node)
    finished = graph.finished()
    return raise_opset(finished, _HALF_SCALES_SINCE) if typer.has_half_scales else finished


def mixed(int8: onnx.ModelProto, *, weakly_typed: bool, keep_float: frozenset[str] = frozenset()) -> onnx.ModelProto:
    """Return an INT8 network whose float part is in half precision, as a release of TensorRT takes it.

    Args:
        int8: as :func:`ssd_edge.quantization.qdq_tensorrt.quantize` gave it.
        weakly_typed: flags choose the types (8.x), and the network stays as it is: those parsers read every scale as
            float32, and the axes of reductions from the attribute that opset 18 has no more.
        keep_float: names of nodes that stay in float32.
    """
    return int8 if weakly_typed else to_half(int8, keep_float=keep_float)


class _Typer:
    """Gives each node inputs of its own type; casts are shared by all readers of a tensor."""

    def __init__(self, graph: Graph, half: set[int]) -> None:
        self._graph = graph
        self._half = half
        self._half_tensors = {
            output
            for node in graph.nodes
            if id(node) in half and node.op_type != "QuantizeLinear"
            for output in node.output
        }
        self._float_tensors = {entry.name for entry in graph.model.graph.input} | {
            output
            for node in network_nodes(graph)
            if id(node) not in half and node.op_type != "QuantizeLinear"
            for output in node.output
        }
        self._casts: dict[tuple[str, int], str] = {}
        self.has_half_scales = False

    def settle(self, node: onnx.NodeProto) -> None:
        """Cast what the node reads, and give it half constants where it computes in half precision."""
        if node.op_type == "QuantizeLinear":
            # Q is of its input's type: a weight's follows its DQ, an activation's its maker.
            is_half = id(node) in self._half if node.input[0] in self._graph.constants else self._is_half(node.input[0])
        else:
            is_half = id(node) in self._half
        for position, name in enumerate(node.input):
            if not is_half:
                if self._is_half(name):
                    self._graph.rewire(node, position, self._cast(name, TensorProto.FLOAT))
            elif name in self._graph.constants:
                self._take_half(node, position)
            elif name in self._float_tensors:
                self._graph.rewire(node, position, self._cast(name, TensorProto.FLOAT16))

    def _is_half(self, tensor: str) -> bool:
        return tensor in self._half_tensors

    def _cast(self, tensor: str, to: int) -> str:
        key = (tensor, to)
        if key not in self._casts:
            kind = "half" if to == TensorProto.FLOAT16 else "float"
            self._casts[key] = self._graph.add(make_node("Cast", [tensor], f"{tensor}.{kind}", to=to))
        return self._casts[key]

    def _take_half(self, node: onnx.NodeProto, position: int) -> None:
        name = node.input[position]
        value = self._graph.constants[name]
        if value.dtype != np.float32:
            return
        is_scale = node.op_type in ("QuantizeLinear", "DequantizeLinear") and position == 1
        self.has_half_scales |= is_scale
        half = _half_scale(value) if is_scale else _half_weight(value, node)
        self._graph.rewire(node, position, self._graph.constant(f"{name}.half", half))


def _half_scale(scale: Array) -> Array:
    """Round a scale; none becomes zero, which no runtime takes."""
    return np.asarray(np.maximum(scale.astype(np.float16), _SMALLEST_SCALE))


def _half_weight(value: Array, node: onnx.NodeProto) -> Array:
    finite = value[np.isfinite(value)]
    if node.op_type != "Clip" and finite.size and np.abs(finite).max() > _LARGEST:
        raise ArtifactError(
            f"the weights of {node.name} are too large for FP16",
            got=f"a weight of {np.abs(finite).max():.4g}",
            wanted=f"weights of at most {_LARGEST:.0f}",
            do=f"Keep the layer in FP32: --keep-float {node.name}",
        )
    return np.clip(value, -_LARGEST, _LARGEST).astype(np.float16)
