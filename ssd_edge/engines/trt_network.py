"""The network as TensorRT reads it from our ONNX: in its own types, or in those that flags allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from ssd_edge.backends.trt_logger import Listener
from ssd_edge.engines.nms_lowering import inline_function, strip_function
from ssd_edge.engines.trt_release import Release
from ssd_edge.engines.trt_turing import without_matmul

if TYPE_CHECKING:
    import tensorrt


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
        ArtefactError: TensorRT cannot parse it.
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


def set_precision_flags(release: Release, config: tensorrt.IBuilderConfig, precision: str) -> None:
    """Allow the kernels of a precision, in a network that is weakly typed."""
    wanted = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",), "int8-fp16": ("INT8", "FP16")}[precision]
    for name in wanted:
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
