"""Suppression by ONNX Runtime's own operator, for engines of ONNX Runtime: the same detections in less time.

``NonMaxSuppression`` compares a candidate with the few that were kept before it, where the portable body fills a matrix
of all pairs of candidates. Its time grows with the number of candidates and its output has no fixed shape, which is why
it is not in the exported graph. Here both do no harm: it is given the M best pairs only, as the portable body ranks
them, and a processor's runtime does not care about shapes. It computes overlaps in the same order of operations in
float32, so that the detections are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx.parser

from ssd_edge.core.graph import NMS_DOMAIN, NMS_OP

_KEPT = "kept"  # of the portable body: (B, M), 1 where a candidate is kept
_SETTLED = """
<opset_import: ["" : 17], domain: "lowering">
settled <scoreThreshold, iouThreshold, numClasses> (ranked_scores, ranked_classes, ranked_boxes) => (kept)
{
    settled_axis = Constant <value = int64[1] {1}> ()
    settled_zero = Constant <value = float {0.0}> ()
    settled_step = Constant <value = int64 {1}> ()
    settled_first = Constant <value = int64 {0}> ()
    class_count = Constant <value_int: int = @numClasses> ()
    class_numbers = Range (settled_first, class_count, settled_step)
    class_floats = Cast <to = 1> (class_numbers)
    class_of_row = Unsqueeze (class_floats, settled_axis)
    candidate_class = Unsqueeze (ranked_classes, settled_axis)
    is_of_class = Equal (candidate_class, class_of_row)
    candidate_score = Unsqueeze (ranked_scores, settled_axis)
    scores_by_class = Where (is_of_class, candidate_score, settled_zero)
    shape = Shape (ranked_scores)
    most = Gather <axis = 0> (shape, settled_axis)
    iou_limit = Constant <value_float: float = @iouThreshold> ()
    score_limit = Constant <value_float: float = @scoreThreshold> ()
    chosen = NonMaxSuppression (ranked_boxes, scores_by_class, most, iou_limit, score_limit)
    picture_and_candidate = Constant <value = int64[2] {0, 2}> ()
    place = Gather <axis = 1> (chosen, picture_and_candidate)
    place_shape = Shape <end = 1> (place)
    ones = ConstantOfShape <value = float[1] {1.0}> (place_shape)
    nothing = ConstantOfShape <value = float[1] {0.0}> (shape)
    kept = ScatterND (nothing, place, ones)
}
"""


def use_non_max_suppression(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the suppression inside its BatchedNMS body done by ``NonMaxSuppression``.

    A model that finds its detections in another way than by the exported body stays as it is.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    for body in lowered.functions:
        if (body.domain, body.name) == (NMS_DOMAIN, NMS_OP):
            _settle(body)
    return lowered


def _settle(body: onnx.FunctionProto) -> None:
    """Let ``NonMaxSuppression`` make the kept candidates, and drop what only their maker read."""
    settled = onnx.parser.parse_function(_SETTLED)
    nodes = [entry for node in body.node for entry in (settled.node if _KEPT in node.output else [node])]
    living = list(_living(nodes, set(body.output)))
    del body.node[:]
    body.node.extend(reversed(living))


def _living(nodes: list[onnx.NodeProto], wanted: set[str]) -> Iterator[onnx.NodeProto]:
    """Yield what is needed for the wanted tensors, last first."""
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            yield node
