"""NMS in the graph, few and many candidates: our body of fixed shapes, as exported, as engines for ONNX Runtime and
OpenVINO have it, and with its rounds written out, as TensorRT's have it; against ``NonMaxSuppression`` over all scores.

    python -m bench.nms [--rounds 60] [--boxes 8732] [--classes 20]

All bodies take turns on the same scored boxes in one process; medians are printed. SSD300 on VOC has 8732 x 20 pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from bench._figures import report
from bench._options import run
from ssd_edge.backends.cpu import Threads, physical_cores
from ssd_edge.backends.openvino.compiled import compile_bytes
from ssd_edge.backends.openvino.module import PROCESSOR, Settings
from ssd_edge.core.choices import Precision
from ssd_edge.core.graph_contract import NMS_DOMAIN, OUTPUT_NAMES
from ssd_edge.core.spec import NmsSpec
from ssd_edge.core.timing import time_calls
from ssd_edge.engines.openvino_build import openvino_graph
from ssd_edge.engines.ort_build import use_non_max_suppression
from ssd_edge.graph.nms import OPSET, batched_nms_function, nms_node, nms_outputs
from ssd_edge.graph.nms_bodies import write_out_rounds

ROWS, SCORE_THRESHOLD, IOU_THRESHOLD = 200, 0.01, 0.45
ABOVE_THRESHOLD = (800, 100_000)

# One image; per class at most 400 boxes, as BatchedNMS with topK = 400; then the best 200 of all classes, padded.
NON_MAX_SUPPRESSION = """
<ir_version: 8, opset_import: ["" : 17]>
nms (float[1, {boxes}, 1, 4] boxes, float[1, {boxes}, {classes}] scores)
    => (int32[1, 1] num_detections, float[1, {rows}, 4] nmsed_boxes, float[1, {rows}] nmsed_scores,
        float[1, {rows}] nmsed_classes)
<int64[1] per_class = {{400}}, int64[1] two = {{2}}, int64[1] zero = {{0}}, int64[1] one = {{1}},
 int64[1] rows = {{{rows}}}, float[1] iou = {{{iou}}}, float[1] score = {{{score}}}, float no_class = {{-1}}>
{{
    box_rows = Squeeze (boxes, two)
    by_class = Transpose <perm = [0, 2, 1]> (scores)
    kept = NonMaxSuppression (box_rows, by_class, per_class, iou, score)
    kept_scores = GatherND (by_class, kept)
    count = Shape (kept_scores)
    wanted = Min (count, rows)
    best_scores, best = TopK <axis = 0> (kept_scores, wanted)
    best_kept = Gather <axis = 0> (kept, best)
    image, class_id, box_id = Split <axis = 1> (best_kept)
    box_number = Squeeze (box_id, one)
    class_number = Squeeze (class_id, one)
    flat_boxes = Squeeze (box_rows, zero)
    best_boxes = Gather <axis = 0> (flat_boxes, box_number)
    best_classes = Cast <to = 1> (class_number)
    missing = Sub (rows, wanted)
    row_padding = Concat <axis = 0> (zero, missing)
    box_padding = Concat <axis = 0> (zero, zero, missing, zero)
    padded_boxes = Pad (best_boxes, box_padding)
    padded_scores = Pad (best_scores, row_padding)
    padded_classes = Pad (best_classes, row_padding, no_class)
    nmsed_boxes = Unsqueeze (padded_boxes, zero)
    nmsed_scores = Unsqueeze (padded_scores, zero)
    nmsed_classes = Unsqueeze (padded_classes, zero)
    found = Cast <to = 6> (wanted)
    num_detections = Unsqueeze (found, zero)
}}
"""


def portable(boxes: int, classes: int, candidates: int) -> onnx.ModelProto:
    """The node as it is exported, alone."""
    spec = NmsSpec(SCORE_THRESHOLD, IOU_THRESHOLD, max(400, candidates), ROWS, candidates)
    function = batched_nms_function(boxes, classes, max_candidates=candidates, keep_top_k=ROWS)
    inputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", boxes, 1, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", boxes, classes]),
    ]
    graph = helper.make_graph([nms_node("boxes", "scores", classes, spec)], "nms", inputs, nms_outputs("batch", ROWS))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(NMS_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)


def data_dependent(boxes: int, classes: int) -> onnx.ModelProto:
    """What an exporter that relies on ONNX's own operator writes."""
    text = NON_MAX_SUPPRESSION.format(boxes=boxes, classes=classes, rows=ROWS, iou=IOU_THRESHOLD, score=SCORE_THRESHOLD)
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = physical_cores()
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


class OpenVinoRequest:
    """The body of OpenVINO's engines, called like a session."""

    def __init__(self, model: onnx.ModelProto) -> None:
        settings = Settings(PROCESSOR, Precision.FP32, Threads.for_latency())
        self._compiled = compile_bytes(openvino_graph(model).SerializeToString(), settings, Path("nms"))
        self._request = self._compiled.create_infer_request()

    def run(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        found = self._request.infer(feed, share_inputs=True)
        return [found[name] for name in names]


def scored_boxes(boxes: int, classes: int, above: int) -> dict[str, np.ndarray]:
    """Boxes in clusters, as anchors on twenty objects are, of whose pairs ``above`` pass the score threshold."""
    rng = np.random.default_rng(0)
    objects = rng.random((20, 2))
    centers = objects[rng.integers(0, len(objects), boxes)] + rng.normal(0, 0.03, (boxes, 2))
    sides = 0.1 + 0.1 * rng.random((boxes, 2))
    corners = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).clip(0, 1)
    scores = SCORE_THRESHOLD * 0.99 * rng.random(boxes * classes)
    scores[rng.choice(scores.size, above, replace=False)] = rng.uniform(SCORE_THRESHOLD * 1.01, 1, above)
    return {
        "boxes": corners.astype(np.float32)[None, :, None],
        "scores": scores.astype(np.float32).reshape(1, boxes, classes),
    }


def median_ms(sessions: dict, feeds: dict, rounds: int) -> dict[tuple[str, int], float]:
    """Each turn starts with a run that is not timed: the threads of the body before still spin, its own still sleep."""
    calls = {
        (name, above): partial(sessions[name].run, OUTPUT_NAMES, feed)
        for name in sessions
        for above, feed in feeds.items()
    }
    timed = time_calls(calls, rounds=rounds, warm_up=0, untimed=1)
    return {key: timing.median_ms for key, timing in timed.items()}


def check_same(sessions: dict, feed: dict[str, np.ndarray]) -> int:
    """Hold that the bodies agree where none is cut short: on the rows that score above the 400th candidate."""
    last = np.sort(feed["scores"].ravel())[-400]
    found = [session.run(OUTPUT_NAMES, feed) for session in sessions.values()]
    prefix = [[part[0][outputs[2][0] > last] for part in outputs[1:]] for outputs in found]
    for other in prefix[1:]:
        for first_part, other_part in zip(prefix[0], other, strict=True):
            np.testing.assert_array_equal(first_part, other_part)
    return len(prefix[0][0])


def _key(name: str) -> str:
    """Return the name of a body as the registry of figures has it."""
    return name.replace(",", "").replace("'", "").replace(" = ", "-").replace(" ", "-")


def main(*, rounds: int = 60, boxes: int = 8732, classes: int = 20) -> None:
    sessions = {
        "ours, M = 400": session(portable(boxes, classes, 400)),
        "ours, M = 1000": session(portable(boxes, classes, 1000)),
        "in an engine, M = 400": session(use_non_max_suppression(portable(boxes, classes, 400))),
        "16 rounds, M = 400": session(write_out_rounds(portable(boxes, classes, 400), 16)),
        "16 rounds, M = 1000": session(write_out_rounds(portable(boxes, classes, 1000), 16)),
        "in an engine, M = 1000": session(use_non_max_suppression(portable(boxes, classes, 1000))),
        "in OpenVINO's, M = 400": OpenVinoRequest(portable(boxes, classes, 400)),
        "in OpenVINO's, M = 1000": OpenVinoRequest(portable(boxes, classes, 1000)),
        "NonMaxSuppression": session(data_dependent(boxes, classes)),
    }
    feeds = {above: scored_boxes(boxes, classes, above) for above in ABOVE_THRESHOLD}
    for above, feed in feeds.items():
        print(f"{above} candidates: same best {check_same(sessions, feed)} detections from all bodies")
    few, many = ABOVE_THRESHOLD
    medians = median_ms(sessions, feeds, rounds)
    print(f"{'ms, median of ' + str(rounds):24}{few:>12} {many:>12}   many / few")
    for name in sessions:
        short, long = medians[name, few], medians[name, many]
        for above, value in ((few, short), (many, long)):
            report(f"nms.{_key(name)}.{above}.ms", value)
        print(f"{name:24}{short:12.2f} {long:12.2f}   {long / short:10.2f}")
    for where in ("ours", "in an engine", "in OpenVINO's"):
        cost = medians[f"{where}, M = 1000", many] / medians[f"{where}, M = 400", many]
        print(f"M = 1000 / M = 400, {where}, with {many} candidates: {cost:.2f}")
    for candidates in (400, 1000):
        cost = medians[f"16 rounds, M = {candidates}", many] / medians[f"ours, M = {candidates}", many]
        print(f"16 rounds / Loop, M = {candidates}, with {many} candidates: {cost:.2f}")
    gain = medians["NonMaxSuppression", many] / medians["ours, M = 400", many]
    print(f"NonMaxSuppression / ours, M = 400, with {many} candidates: {gain:.1f}")


if __name__ == "__main__":
    run(main)
