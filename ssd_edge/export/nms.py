"""The BatchedNMS node: TensorRT's plugin where there is one, the portable function everywhere else."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from ssd_edge.core.graph import NMS_DOMAIN, NMS_OP, OUTPUT_NAMES
from ssd_edge.core.spec import ModelSpec, NmsSpec
from ssd_edge.export.nms_function import batched_nms_function


def nms_node(boxes: str, scores: str, num_classes: int, nms: NmsSpec) -> onnx.NodeProto:
    """Return the node on the named tensors, with every attribute of the plugin written.

    The plugin leaves what is not written uninitialised or at a default that differs between releases. Clipping is off,
    because boxes are clipped before suppression, in the graph, where the spec asks for it.
    """
    return helper.make_node(
        NMS_OP,
        [boxes, scores],
        list(OUTPUT_NAMES),
        name="batched_nms",
        domain=NMS_DOMAIN,
        shareLocation=1,
        backgroundLabelId=-1,
        numClasses=num_classes,
        topK=nms.top_k,
        keepTopK=nms.keep_top_k,
        scoreThreshold=float(nms.score_threshold),
        iouThreshold=float(nms.iou_threshold),
        isNormalized=1,
        clipBoxes=0,
        scoreBits=16,
        caffeSemantics=1,
        plugin_version="1",
    )


def attach_nms(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return the model with its outputs boxes (B, N, 1, 4) and scores (B, N, C) replaced by the four of BatchedNMS."""
    attached = onnx.ModelProto()
    attached.CopyFrom(model)
    boxes, scores = (output.name for output in model.graph.output)
    attached.graph.node.append(nms_node(boxes, scores, len(spec.class_names), spec.nms))
    attached.functions.append(
        batched_nms_function(
            spec.anchors.count,
            len(spec.class_names),
            max_candidates=spec.nms.max_candidates,
            keep_top_k=spec.nms.keep_top_k,
        )
    )
    attached.opset_import.append(helper.make_opsetid(NMS_DOMAIN, 1))
    del attached.graph.output[:]
    attached.graph.output.extend(nms_outputs(_batch_axis(model), spec.nms.keep_top_k))
    return attached


def nms_outputs(batch: str, rows: int) -> list[onnx.ValueInfoProto]:
    """Return the four outputs of the graph contract for a batch axis of this name."""
    shapes: tuple[tuple[str | int, ...], ...] = ((batch, 1), (batch, rows, 4), (batch, rows), (batch, rows))
    types = (TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT)
    return [
        helper.make_tensor_value_info(name, element, shape)
        for name, element, shape in zip(OUTPUT_NAMES, types, shapes, strict=True)
    ]


def _batch_axis(model: onnx.ModelProto) -> str:
    return str(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param)
