"""The portable body of BatchedNMSDynamic_TRT: exact greedy NMS in plain ONNX of fixed shapes.

The M best (box, class) pairs of each image are ranked by one TopK. They are settled block by block, in a Loop that
carries the pairs which are kept so far (:mod:`ssd_edge.graph.nms_blocks`). A matrix holds which better-ranked pair of
the same class overlaps which other too much. Greedy NMS is the one set that contains exactly the valid candidates
which no member suppresses; it is reached by repeating ``keep <- valid and not (keep @ suppresses)`` from ``keep =
valid``: after t rounds all candidates at the end of suppression chains of at most t links are final.

Truncation: greedy NMS decides a candidate by better-ranked ones only. So what it keeps of the M best is what unlimited
greedy NMS keeps of them: the detections are the prefix, down to the M-th best score, of those without the limit.

Why this form (ONNX Runtime 1.32 on one core, SSD300's 8,732 boxes of 20 classes: M = 400 1.0 ms, M = 1000 1.3 ms, where
one matrix for all took 1.2 and 7.5; ``python -m bench.nms``):
* ``NonMaxSuppression`` takes time with the number of candidates, has an output of unknown size, which rules out CUDA
  graphs, and cannot be built by TensorRT-RTX.
* A round is a row vector times the matrix: 0.025 ms for 400. On booleans (And, Cast, ReduceMax) it takes 0.045 ms, as a
  masked maximum 0.075 ms, as MatMulInteger 0.026 ms, which TensorRT does not have.
* Rounds in a Loop that stops are as fast as unrolled ones and exact for any chain. Anchors around objects need 2 to 6,
  so four of them share the cost of one iteration. TensorRT-RTX builds the Loop, with its condition and a free batch.
* Only one side of an intersection is clamped at 0: a negative product suppresses nothing, as 0 does.
"""

from __future__ import annotations

import onnx
import onnx.parser
from onnx import TensorProto, helper

from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP, OUTPUT_NAMES
from ssd_edge.core.spec import ModelSpec, NmsSpec
from ssd_edge.graph.editor import copied, replace_all
from ssd_edge.graph.nms_blocks import blocks, outputs_of_rows
from ssd_edge.graph.nms_steps import all_boxes, best_boxes, constants, rank_pairs

OPSET = 17
ATTRIBUTES = (
    "shareLocation",
    "backgroundLabelId",
    "numClasses",
    "topK",
    "keepTopK",
    "scoreThreshold",
    "iouThreshold",
    "isNormalized",
    "clipBoxes",
    "scoreBits",
    "caffeSemantics",
    "plugin_version",
)


def batched_nms_function(
    num_boxes: int, num_classes: int, *, max_candidates: int, keep_top_k: int
) -> onnx.FunctionProto:
    """Return the model-local function: boxes (B, N, 1, 4), scores (B, N, C) -> the four outputs of BatchedNMS.

    Scores must exceed ``scoreThreshold`` and overlaps ``iouThreshold`` (both read from the node, compared in float32).
    Equal scores rank by the lower flat (box, class) index. Outputs are best first; rows without a detection hold class
    -1, score 0, box 0. Boxes of no area neither suppress nor are suppressed.

    Args:
        num_boxes: N, anchors.
        num_classes: C, real classes.
        max_candidates: M, pairs that are looked at; fewer where N * C is smaller.
        keep_top_k: K, rows of the outputs.
    """
    candidates = min(max_candidates, num_boxes * num_classes)
    near = num_boxes if num_classes == 1 else min(candidates, num_boxes)
    rows = min(keep_top_k, candidates)
    sections = [
        constants(candidates),
        all_boxes() if near == num_boxes else best_boxes(near),
        rank_pairs(candidates, near, num_classes),
        blocks(candidates, rows),
        outputs_of_rows(rows, keep_top_k),
    ]
    signature = f"{NMS_OP} <{', '.join(ATTRIBUTES)}> (boxes, scores) => ({', '.join(OUTPUT_NAMES)})"
    header = f'<domain: "{NMS_DOMAIN}", opset_import: ["" : {OPSET}]>'
    return onnx.parser.parse_function(f"{header}\n{signature}\n{{{''.join(sections)}}}")


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
    attached = copied(model)
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
    replace_all(attached.graph.output, nms_outputs(_batch_axis(model), spec.nms.keep_top_k))
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
