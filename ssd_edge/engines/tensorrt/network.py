"""The network as TensorRT reads it from our ONNX: in its own types, or in those that flags allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from ssd_edge.backends.tensorrt.module import Listener
from ssd_edge.core.choices import NmsBody, Precision
from ssd_edge.engines.tensorrt.release import Release
from ssd_edge.graph.nms_bodies import inline_function, strip_function, use_efficient_nms, write_out_rounds

if TYPE_CHECKING:
    import tensorrt


TURING = 75


def with_nms(model: onnx.ModelProto, nms: NmsBody, rounds: int, *, for_turing: bool = False) -> onnx.ModelProto:
    """Return the model with its NMS node as TensorRT's parser must read it.

    Args:
        model: in the precision that it must run in.
        nms: what takes the node's place.
        rounds: of suppression, where they are written out.
        for_turing: TensorRT-RTX, which has no float32 matrix product there, must build for that too.

    Raises:
        ArtifactError: it is no model of ours.
    """
    if nms is NmsBody.PLUGIN:
        return strip_function(model)
    if nms is NmsBody.EFFICIENT:
        return use_efficient_nms(model)
    if nms is NmsBody.LOOP:
        return inline_function(model)
    return inline_function(write_out_rounds(model, rounds, products=not for_turing))


def parse_network(
    release: Release,
    builder: tensorrt.Builder,
    model: onnx.ModelProto,
    listener: Listener,
    *,
    may_keep_float: bool,
    weakly_typed: bool,
    nms: NmsBody,
    rounds: int,
    for_turing: bool,
) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
    """Return the network of a model, and the parser, which must live as long.

    Args:
        release: the installed one.
        builder: makes the network.
        model: in the precision that it must run in, with its BatchedNMS node.
        listener: hears what TensorRT says.
        may_keep_float: ``--keep-float`` is open to this build, for the error.
        weakly_typed: flags choose the types, not the ONNX.
        nms: what takes the place of the NMS node.
        rounds: of suppression, where they are written out.
        for_turing: TensorRT-RTX must build for that too.

    Raises:
        ArtifactError: TensorRT cannot parse it.
    """
    network = builder.create_network(_creation_flags(release, weakly_typed=weakly_typed))
    parser: tensorrt.OnnxParser = release.trt.OnnxParser(network, listener.logger)
    lowered = with_nms(model, nms, rounds, for_turing=for_turing)
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
