"""The two halves of an exported model, apart: from pixels to scored boxes, and from these to detections."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.editor import copied, needed_nodes, replace_all, tensors_read
from ssd_edge.graph.nms import nms_outputs


def head_tensors(model: onnx.ModelProto) -> tuple[str, str]:
    """Return the names of the boxes (B, A, 1, 4) and scores (B, A, C) that go into the NMS node of an exported model.

    Raises:
        ArtifactError: the model has no such node.
    """
    for node in model.graph.node:
        if (node.domain, node.op_type) == (NMS_DOMAIN, NMS_OP):
            return node.input[0], node.input[1]
    raise ArtifactError(
        f"the model {model.graph.name!r:.80} has no {NMS_OP} node", do="Export the model: ssd-edge export"
    )


def heads_only(model: onnx.ModelProto, tensors: tuple[str, str], spec: ModelSpec) -> onnx.ModelProto | None:
    """Return an exported or lowered model that ends in its boxes and scores; None where it has no such tensors.

    Args:
        model: as exported, or as a build for ONNX Runtime wrote it, which keeps these names.
        tensors: their names, from :func:`head_tensors`.
        spec: of the model.
    """
    made = {output for node in model.graph.node for output in node.output}
    if not set(tensors) <= made:
        return None
    cut = copied(model)
    replace_all(cut.graph.node, needed_nodes(list(cut.graph.node), list(tensors)))
    rows = ((1, 4), (len(spec.class_names),))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", spec.anchors.count, *row))
        for name, row in zip(tensors, rows, strict=True)
    ]
    replace_all(cut.graph.output, outputs)
    read = tensors_read(cut.graph)
    replace_all(cut.graph.initializer, [entry for entry in cut.graph.initializer if entry.name in read])
    replace_all(cut.functions, (body for body in cut.functions if body.domain != NMS_DOMAIN))
    return cut


def nms_only(model: onnx.ModelProto, rows: int) -> onnx.ModelProto:
    """Return the NMS of an exported model as a model of its own: boxes (B, A, 1, 4), scores (B, A, C) -> detections.

    Args:
        model: as exported, its body perhaps in another form.
        rows: detections of an image, the spec's ``nms.keep_top_k``.

    Raises:
        ArtifactError: the model has no NMS node.
    """
    boxes, scores = head_tensors(model)
    node = next(node for node in model.graph.node if (node.domain, node.op_type) == (NMS_DOMAIN, NMS_OP))
    inputs = [
        helper.make_tensor_value_info(boxes, TensorProto.FLOAT, ("batch", "boxes", 1, 4)),
        helper.make_tensor_value_info(scores, TensorProto.FLOAT, ("batch", "boxes", "classes")),
    ]
    graph = helper.make_graph([node], "nms", inputs, nms_outputs("batch", rows))
    made = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    made.functions.extend(body for body in model.functions if body.domain == NMS_DOMAIN)
    return made
