"""The network as TensorRT reads it from our ONNX: in its own types, or in those that flags allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx
import onnx.inliner
from onnx import helper

from ssd_edge.backends.tensorrt.module import Listener
from ssd_edge.core.choices import Precision
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP
from ssd_edge.engines.tensorrt.release import Release
from ssd_edge.graph.editor import copied, replace_all

if TYPE_CHECKING:
    import tensorrt


def strip_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without the portable body, for a runtime where the plugin is registered.

    Raises:
        ArtifactError: the model has no BatchedNMS node.
    """
    _check_node(model)
    stripped = copied(model)
    replace_all(stripped.functions, (body for body in model.functions if not _is_nms(body.domain, body.name)))
    return stripped


def inline_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the node replaced by its portable body, for a runtime that has no such plugin.

    Raises:
        ArtifactError: the model has no BatchedNMS node, or the body was stripped from it.
    """
    _check_node(model)
    if not any(_is_nms(function.domain, function.name) for function in model.functions):
        raise ArtifactError(
            f"the ONNX has no portable body for {NMS_OP}",
            got=f"{len(model.functions)} other functions",
            wanted="the file as ssd-edge export wrote it",
            do="Export the model again: ssd-edge export",
        )
    inlined = onnx.inliner.inline_selected_functions(model, [(NMS_DOMAIN, NMS_OP)])
    replace_all(inlined.opset_import, (entry for entry in inlined.opset_import if entry.domain != NMS_DOMAIN))
    return inlined


def _check_node(model: onnx.ModelProto) -> None:
    if not any(_is_nms(node.domain, node.op_type) for node in model.graph.node):
        raise ArtifactError(
            f"the ONNX has no {NMS_OP} node",
            got=f"{len(model.graph.node)} other nodes",
            wanted="a model that ssd-edge export wrote",
            do="Export the model again: ssd-edge export",
        )


def _is_nms(domain: str, name: str) -> bool:
    return (domain, name) == (NMS_DOMAIN, NMS_OP)


TURING = 75


def without_matmul(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with each MatMul inside a loop as multiplications and a sum.

    The NMS counts with it how many kept boxes overlap each box: whole numbers, so that no bit changes. Large products
    of a network would need too much memory so; those are outside of loops, and stay.
    """
    changed = copied(model)
    for node in changed.graph.node:
        if node.op_type == "Loop":
            for attribute in node.attribute:
                if attribute.name == "body":
                    _rewrite(attribute.g)
    return changed


def _rewrite(graph: onnx.GraphProto) -> None:
    replace_all(
        graph.node, (part for node in graph.node for part in (_as_sum(node) if node.op_type == "MatMul" else [node]))
    )


def _as_sum(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Yield A (..., n, k, 1) times B (..., 1, k, m), summed over k."""
    (left, right), product = node.input, node.output[0]
    for name, axis in (("last", -1), ("third", -3), ("second", -2)):
        yield helper.make_node("Constant", [], [f"{product}.{name}"], value_ints=[axis])
    yield helper.make_node("Unsqueeze", [left, f"{product}.last"], [f"{product}.left"])
    yield helper.make_node("Unsqueeze", [right, f"{product}.third"], [f"{product}.right"])
    yield helper.make_node("Mul", [f"{product}.left", f"{product}.right"], [f"{product}.terms"])
    yield helper.make_node("ReduceSum", [f"{product}.terms", f"{product}.second"], [product], keepdims=0)


def parse_network(
    release: Release,
    builder: tensorrt.Builder,
    model: onnx.ModelProto,
    listener: Listener,
    *,
    may_keep_float: bool,
    weakly_typed: bool,
    nms_plugin: bool,
    for_turing: bool,
) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
    """Return the network of a model, and the parser, which must live as long.

    Args:
        release: the installed one.
        builder: makes the network.
        model: in the precision that it shall run in, with its BatchedNMS node.
        listener: hears what TensorRT says.
        may_keep_float: ``--keep-float`` is open to this build, for the error.
        weakly_typed: flags choose the types, not the ONNX.
        nms_plugin: the node becomes TensorRT's plugin, else plain ONNX.
        for_turing: TensorRT-RTX shall build for that too.

    Raises:
        ArtifactError: TensorRT cannot parse it.
    """
    network = builder.create_network(_creation_flags(release, weakly_typed=weakly_typed))
    parser: tensorrt.OnnxParser = release.trt.OnnxParser(network, listener.logger)
    lowered = strip_function(model) if nms_plugin else inline_function(model)
    if for_turing:
        lowered = without_matmul(lowered)
    parsed: Any = parser.parse(lowered.SerializeToString())  # the stubs say None
    if not parsed:
        faults = [_fault(parser.get_error(number), lowered) for number in range(parser.num_errors)]
        raise release.failure("cannot parse the ONNX", faults or listener.errors, may_keep_float=may_keep_float)
    return network, parser


def set_precision_flags(release: Release, config: tensorrt.IBuilderConfig, precision: Precision) -> None:
    """Allow the kernels of a precision, in a network that is weakly typed."""
    wanted = {"INT8": precision.is_int8, "FP16": precision.has_fp16}
    for name in (name for name, is_wanted in wanted.items() if is_wanted):
        config.set_flag(getattr(release.trt.BuilderFlag, name))


def _creation_flags(release: Release, *, weakly_typed: bool) -> int:
    known = release.trt.NetworkDefinitionCreationFlag
    wanted = ["EXPLICIT_BATCH"] if weakly_typed else ["EXPLICIT_BATCH", "STRONGLY_TYPED"]
    # Their numbers change between releases: only the names are to be trusted.
    return sum(1 << int(getattr(known, name)) for name in wanted if hasattr(known, name))


def _fault(error: Any, model: onnx.ModelProto) -> str:
    """Return a parser's error with the name of its node, which 8.x gives by number only."""
    text, nodes = str(error), model.graph.node
    number = error.node() if hasattr(error, "node") and not hasattr(error, "node_name") else -1
    if 0 <= number < len(nodes):
        return f"In node {number} with name: {nodes[number].name} and operator: {nodes[number].op_type}: {text}"
    return text
