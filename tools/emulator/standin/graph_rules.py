"""What TensorRT's ONNX parser and builder refuse in a graph, by the rules that NVIDIA documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tools.emulator.standin.releases import is_8

_MOST_TOP_K = 3840
_NO_SUCH_LAYER = {"rtx": ("NonZero",)}
_NO_SUCH_KERNEL = {"rtx": ("NonMaxSuppression",)}


def constants(graph: onnx.GraphProto) -> dict[str, Any]:
    """Return what is known while building, by name."""
    found = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((entry.t for entry in node.attribute if entry.name == "value"), None)
            if value is not None:
                found[node.output[0]] = numpy_helper.to_array(value)
    return found


def parser_faults(model: onnx.ModelProto, release: str) -> Iterator[tuple[int, str]]:
    """Yield (node, what is wrong with it)."""
    graph, known = model.graph, constants(model.graph)
    pixels = {entry.name for entry in graph.input if entry.type.tensor_type.elem_type == TensorProto.UINT8}
    for number, node in enumerate(graph.node):
        if node.op_type in _NO_SUCH_LAYER.get(release, ()):
            yield number, f"No importer registered for op: {node.op_type}"
        if pixels & set(node.input) and not _is_cast_to_float(node):
            yield number, "a UINT8 input must be cast to FLOAT or HALF before anything else"
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield from ((number, text) for text in _scale_faults(node, known))
        if is_8(release):
            yield from ((number, text) for text in _unknown_to_8(node, known))
    yield from _type_faults(model)


def builder_faults(model: onnx.ModelProto, release: str) -> Iterator[str]:
    """Yield what was parsed and cannot be built."""
    known = constants(model.graph)
    for node in model.graph.node:
        if node.op_type in _NO_SUCH_KERNEL.get(release, ()):
            yield f"no runners for {node.name or node.op_type}"
        if node.op_type == "TopK" and node.input[1] in known and int(known[node.input[1]].item()) > _MOST_TOP_K:
            yield f"{node.name}: K of a TopK layer is at most {_MOST_TOP_K}"


def is_quantised(model: onnx.ModelProto) -> bool:
    """Return whether Q/DQ nodes say what runs in 8 bits."""
    return any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node)


def has_half(model: onnx.ModelProto) -> bool:
    """Return whether anything is typed in half precision."""
    casts = (node for node in model.graph.node if node.op_type == "Cast")
    return any(entry.data_type == TensorProto.FLOAT16 for entry in model.graph.initializer) or any(
        entry.i == TensorProto.FLOAT16 for node in casts for entry in node.attribute if entry.name == "to"
    )


def _is_cast_to_float(node: onnx.NodeProto) -> bool:
    wanted = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return node.op_type == "Cast" and any(entry.name == "to" and entry.i in wanted for entry in node.attribute)


def _scale_faults(node: onnx.NodeProto, known: dict[str, Any]) -> Iterator[str]:
    """Q/DQ: symmetric, in int8, with scales that are known and positive."""
    scale = known.get(node.input[1])
    if scale is None:
        yield f"{node.name}: the scale must be an initializer"
    elif not (np.asarray(scale, np.float32) > 0).all():
        yield f"{node.name}: scale coefficients must all be positive"
    zero = known.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if zero is not None and zero.any():
        yield f"{node.name}: Non-zero zero point is not supported"
    if zero is not None and zero.dtype != np.int8:
        yield f"{node.name}: input has type {zero.dtype} but must have type Int8"
    given = known.get(node.input[0])
    if node.op_type == "DequantizeLinear" and given is not None and given.dtype != np.int8:
        yield f"{node.name}: input has type {given.dtype} but must have type Int8"


def _unknown_to_8(node: onnx.NodeProto, known: dict[str, Any]) -> Iterator[str]:
    """What the parsers of 8.x read wrongly, without a word: see their QuantDequantLinearHelper and ReduceMax."""
    scale = known.get(node.input[1]) if len(node.input) > 1 else None
    if node.op_type in ("QuantizeLinear", "DequantizeLinear") and scale is not None and scale.dtype != np.float32:
        yield f"{node.name}: the scale is read as float32, and is {scale.dtype}"
    if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1:
        yield f"{node.name}: axes are read from the attribute, and are an input"


def _type_faults(model: onnx.ModelProto) -> Iterator[tuple[int, str]]:
    """What ONNX itself says: e.g. both inputs of an Add must be of the same type."""
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        yield -1, str(error)
