"""The portable body of BatchedNMSDynamic_TRT: exact greedy NMS in plain ONNX of fixed shapes.

The M best (box, class) pairs of each picture are ranked by one TopK, and a matrix holds which better-ranked pair of the
same class overlaps which other too much. Greedy NMS is the one set that contains exactly the valid candidates which no
member suppresses; it is reached by repeating ``keep <- valid and not (keep @ suppresses)`` from ``keep = valid``: after
t rounds all candidates at the end of suppression chains of at most t links are final.

Truncation: greedy NMS decides a candidate by better-ranked ones only. So what it keeps of the M best is what unlimited
greedy NMS keeps of them: the detections are the prefix, down to the M-th best score, of those without the limit.

Why this form (ONNX Runtime 1.32 on one core, M = 400: 0.7 ms in all; ``python -m bench.nms``):
* ``NonMaxSuppression`` takes time with the number of candidates, has an output of unknown size, which rules out CUDA
  graphs, and cannot be built by TensorRT-RTX.
* A round is a row vector times the matrix: 0.025 ms. On booleans (And, Cast, ReduceMax) it takes 0.045 ms, as a masked
  maximum 0.075 ms, as MatMulInteger 0.026 ms, which TensorRT does not have.
* Rounds in a Loop that stops are as fast as unrolled ones and exact for any chain. Anchors around objects need 2 to 6,
  so four of them share the cost of one iteration. TensorRT-RTX builds the Loop, with its condition and a free batch.
* Only one side of an intersection is clamped at 0: a negative product suppresses nothing, as 0 does.
"""

from __future__ import annotations

import onnx
import onnx.parser

from ssd_edge.core.graph import NMS_DOMAIN, NMS_OP, OUTPUT_NAMES
from ssd_edge.export.nms_steps import (
    all_boxes,
    best_boxes,
    best_kept,
    constants,
    fixed_point,
    overlaps,
    rank_pairs,
    suppression,
)

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
        num_boxes: N, default boxes.
        num_classes: C, real classes.
        max_candidates: M, pairs that are looked at; fewer where N * C is smaller.
        keep_top_k: K, rows of the outputs.
    """
    candidates = min(max_candidates, num_boxes * num_classes)
    near = num_boxes if num_classes == 1 else min(candidates, num_boxes)
    sections = [
        constants(candidates),
        all_boxes() if near == num_boxes else best_boxes(near),
        rank_pairs(candidates, near, num_classes),
        overlaps(candidates),
        suppression(),
        fixed_point(candidates),
        best_kept(min(keep_top_k, candidates), keep_top_k),
    ]
    signature = f"{NMS_OP} <{', '.join(ATTRIBUTES)}> (boxes, scores) => ({', '.join(OUTPUT_NAMES)})"
    header = f'<domain: "{NMS_DOMAIN}", opset_import: ["" : {OPSET}]>'
    return onnx.parser.parse_function(f"{header}\n{signature}\n{{{''.join(sections)}}}")
