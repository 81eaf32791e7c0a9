"""The opset of a graph: raised where types need it, with the nodes that a later opset writes otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import helper

from ssd_edge.graph.editor import make_node, replace_all

_CHANGED_IN = 18


def opset_of(holder: onnx.ModelProto | onnx.FunctionProto) -> int:
    """Return the version of the default opset of a model or a function."""
    return next(int(entry.version) for entry in holder.opset_import if entry.domain == "")


def raise_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Raise the default opset of graph and functions; of our operators reductions and Split changed."""
    for holder in (model, *model.functions):
        for entry in holder.opset_import:
            if entry.domain == "":
                entry.version = max(entry.version, version)
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        replace_all(nodes, (made for node in nodes for made in _modernized(node)))
    return model


def as_opset(nodes: Iterable[onnx.NodeProto], opset: int) -> list[onnx.NodeProto]:
    """Return nodes that were written for opset 13 to 17 as another opset has them."""
    return [made for node in nodes for made in (_modernized(node) if opset >= _CHANGED_IN else [node])]


def _modernized(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return a node as opset 18 and later write it: axes are an input, and Split counts its outputs."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            replace_all(attribute.g.node, (made for child in attribute.g.node for made in _modernized(child)))
    if node.op_type == "Split" and len(node.input) == 1:
        node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))
    axes = next((attribute for attribute in node.attribute if attribute.name == "axes"), None)
    if axes is None or not node.op_type.startswith("Reduce"):
        return [node]
    constant = make_node("Constant", [], f"{node.output[0]}.axes", value_ints=list(axes.ints))
    node.attribute.remove(axes)
    node.input.append(constant.output[0])
    return [constant, node]
