"""A digest of what a graph computes, the same for every release of onnx: without names that tools make up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import onnx
from onnx import numpy_helper


def graph_digest(model: onnx.ModelProto) -> str:
    """``sha256:…`` of operators, their order, wiring, attributes and constants; tensors are called by their order."""
    digest = hashlib.sha256()
    for line in _graph(model.graph, {}):
        digest.update(line)
    for function in model.functions:
        digest.update(function.name.encode())
        names = {name: f"in{number}" for number, name in enumerate(function.input)}
        for line in _nodes(function.node, names):
            digest.update(line)
    return f"sha256:{digest.hexdigest()}"


def _graph(graph: onnx.GraphProto, outer: dict[str, str]) -> Iterable[bytes]:
    names = {**outer, **{entry.name: f"in{number}" for number, entry in enumerate(graph.input)}}
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    yield from _nodes(graph.node, names, constants)
    yield " ".join(names.get(entry.name, entry.name) for entry in graph.output).encode()


def _nodes(nodes: Iterable[onnx.NodeProto], names: dict[str, str], constants: dict[str, Any] | None = None) -> Any:
    for number, node in enumerate(nodes):
        yield f"{node.domain}:{node.op_type}".encode()
        for name in node.input:
            value = (constants or {}).get(name)
            if value is None:
                yield names.get(name, name and "outer").encode()
            else:
                yield f"{value.dtype}{value.shape}".encode() + value.tobytes()
        for attribute in sorted(node.attribute, key=lambda entry: entry.name):
            yield attribute.name.encode()
            if attribute.ref_attr_name:
                yield f"@{attribute.ref_attr_name}".encode()
                continue
            value = onnx.helper.get_attribute_value(attribute)
            if isinstance(value, onnx.GraphProto):
                yield from _graph(value, names)
            elif isinstance(value, onnx.TensorProto):
                array = numpy_helper.to_array(value)
                yield f"{array.dtype}{array.shape}".encode() + array.tobytes()
            else:
                yield (value.SerializeToString() if hasattr(value, "SerializeToString") else repr(value).encode())
        names |= {name: f"{number}.{place}" for place, name in enumerate(node.output) if name}
