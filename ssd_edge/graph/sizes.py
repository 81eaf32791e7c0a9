"""Size limits of a graph's tensors, computed from their shapes before a runtime allocates them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, shape_inference

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import read_regular
from ssd_edge.core.limits import how_to_raise, limit
from ssd_edge.graph.onnx_file import parse_onnx

_SHAPES_ELEMENTS = 1024
"""A constant of no more may be a shape or an index, whose values shape inference needs."""
_UNKNOWN_BYTES = 4  # of an element whose type is not known


def check_file(path: Path) -> None:
    """Refuse an ONNX whose tensors are larger than the limit ``tensor``, before a runtime opens it.

    Raises:
        OSError: the file cannot be read.
        ArtifactError: it is no ONNX, or a tensor is larger, for one image.
    """
    check_sizes(parse_onnx(read_regular(path), path), path)


def check_sizes(model: ModelProto, path: Path) -> None:
    """Refuse a graph with a tensor, weight or activation, of more bytes than the limit ``tensor`` for one image.

    What shape inference does not find out is let pass: a shape that depends on the image, an operator of a runtime.

    Raises:
        ArtifactError: there is one; ``path`` names the file.
    """
    most = limit("tensor")
    for name, size in _tensor_sizes(model):
        if size > most:
            raise ArtifactError(
                f"{path} has a tensor that is too large: {name!r:.80}",
                got=f"{size} bytes for one image",
                wanted=f"at most {most}",
                do=how_to_raise("tensor", size),
            )


def _tensor_sizes(model: ModelProto) -> Iterator[tuple[str, int]]:
    for tensor in model.graph.initializer:
        yield tensor.name, math.prod(tensor.dims) * _bytes_of(tensor.data_type)
    try:
        inferred = shape_inference.infer_shapes(_without_weights(model), data_prop=True)
    except Exception:  # noqa: BLE001 - what contradicts itself is the runtime's to refuse
        return
    for graph in (inferred.graph, *_inner(inferred.graph)):
        for value in (*graph.input, *graph.value_info, *graph.output):
            yield value.name, _size(value)


def _without_weights(model: ModelProto) -> ModelProto:
    """The graph for one image, with its large weights as inputs of the same shape: they need not be copied twice."""
    light = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    light.graph.node.extend(model.graph.node)
    light.graph.name = model.graph.name
    weights = [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > _SHAPES_ELEMENTS]
    large = {tensor.name for tensor in weights}
    light.graph.initializer.extend(entry for entry in model.graph.initializer if entry.name not in large)
    light.graph.input.extend(_of_one_image(entry) for entry in model.graph.input if entry.name not in large)
    light.graph.input.extend(
        helper.make_tensor_value_info(entry.name, entry.data_type, entry.dims) for entry in weights
    )
    light.graph.output.extend(model.graph.output)
    return light


def _of_one_image(entry: ValueInfoProto) -> ValueInfoProto:
    fixed = ValueInfoProto()
    fixed.CopyFrom(entry)
    for axis in fixed.type.tensor_type.shape.dim[:1]:
        if not axis.HasField("dim_value"):
            axis.dim_value = 1
    return fixed


def _inner(graph: GraphProto) -> Iterator[GraphProto]:
    found = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    while found:
        inner = found.pop()
        yield inner
        found += [attribute.g for node in inner.node for attribute in node.attribute if attribute.HasField("g")]


def _size(value: ValueInfoProto) -> int:
    axes: Iterable[int] = (max(axis.dim_value, 1) for axis in value.type.tensor_type.shape.dim)
    return math.prod(axes) * _bytes_of(value.type.tensor_type.elem_type)


def _bytes_of(kind: int) -> int:
    if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        return _UNKNOWN_BYTES
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except (KeyError, TypeError, ValueError):
        return _UNKNOWN_BYTES
