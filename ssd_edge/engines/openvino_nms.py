"""The NMS of engines for OpenVINO: its own operators, led to the bits that the portable body gives.

Two things keep them from it. Its ``TopK`` leaves open which of equal scores come first, or are left out at the end,
where ONNX says the one of the lower index; its stable variant is a bubble sort, ten times as long. And its
``NonMaxSuppression`` suppresses at an overlap that is equal to the threshold, where the contract says above. So the
pairs that are looked at are found by the score of the last of them, in order of their index, and ranked by keys that
all differ; and the threshold becomes the next larger number.

Processor time on one core (AVX-512 VNNI, OpenVINO 2026.4), 8,732 boxes and 20 classes: 0.9 ms for M = 400, 1.6 ms for
M = 1000; 0.7 and 1.3 ms without the ties. The portable body, whose ``TopK`` is no better: 1.5 and 8.8 ms.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP
from ssd_edge.engines.ort_build import use_non_max_suppression
from ssd_edge.graph.nms_bodies import inline_function, replace_maker

_HEADER = '<opset_import: ["" : 17], domain: "lowering">'


def use_openvino_nms(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Return the model with its BatchedNMS node written out in operators that OpenVINO is exact and quick with.

    It takes ``batch`` images at a time from then on, so that all shapes are fixed but some inside of the NMS. A model
    that finds its detections in another way than by the exported body stays as it is.
    """
    lowered = use_non_max_suppression(model)
    bodies = [body for body in lowered.functions if (body.domain, body.name) == (NMS_DOMAIN, NMS_OP)]
    if not bodies:
        return lowered
    for body in bodies:
        _rank_exactly(body, batch)
    for node in lowered.graph.node:
        for attribute in node.attribute if node.op_type == NMS_OP else ():
            if attribute.name == "iouThreshold":
                attribute.f = float(np.nextafter(np.float32(attribute.f), np.float32(np.inf)))
    return inline_function(lowered)


def _rank_exactly(body: onnx.FunctionProto, batch: int) -> None:
    """Let equal scores rank by the lower index, among the boxes that are near and among the pairs."""
    counts = {
        name: int(numpy_helper.to_array(node.attribute[0].t).item())
        for node in body.node
        for name in node.output
        if name in ("near_count", "pair_count")
    }
    if "near_count" in counts:
        replace_maker(body, "near_sorted", _near_boxes(batch, counts["near_count"]))
    replace_maker(body, "pair", _ranked_pairs(batch, counts["pair_count"]))


def _near_boxes(batch: int, count: int) -> str:
    """Return a function that gives the numbers of the ``count`` boxes of the best score, ascending."""
    return f"""{_HEADER}
near (best_score) => (near_sorted)
{{{_best("nearest", "best_score", batch, count)}
    near_sorted = Cast <to = 1> (nearest)
}}
"""


def _ranked_pairs(batch: int, count: int) -> str:
    """Return a function that ranks the ``count`` best pairs: by score, equal ones by number.

    The best are there in order of their number (:func:`_best`). A sort by score leaves equal ones in any order; each
    run of equal ones has a number too, and by ``run * count + place among the best``, which no two share, they are
    sorted once more. Scores are sorted already.
    """
    return f"""{_HEADER}
ranked (pair_scores) => (ranked_scores, pair)
{{{_best("best_pair", "pair_scores", batch, count)}
    tie_score = GatherElements <axis = 1> (pair_scores, best_pair)
    ranked_scores, tie_place = TopK <axis = 1> (tie_score, best_pair_count)
    tie_first = Constant <value = int64[1] {{0}}> ()
    tie_second = Constant <value = int64[1] {{1}}> ()
    tie_last = Constant <value = int64[1] {{{count - 1}}}> ()
    tie_end = Constant <value = int64[1] {{{count}}}> ()
    tie_upper = Slice (ranked_scores, tie_first, tie_last, tie_second)
    tie_lower = Slice (ranked_scores, tie_second, tie_end, tie_second)
    tie_changes = Less (tie_lower, tie_upper)
    tie_changes_int = Cast <to = 6> (tie_changes)
    tie_pads = Constant <value = int64[4] {{0, 1, 0, 0}}> ()
    tie_begins = Pad (tie_changes_int, tie_pads)
    tie_axis = Constant <value = int64 {{1}}> ()
    tie_run = CumSum (tie_begins, tie_axis)
    tie_width = Constant <value = int32 {{{count}}}> ()
    tie_base = Mul (tie_run, tie_width)
    tie_place_int = Cast <to = 6> (tie_place)
    tie_key = Add (tie_base, tie_place_int)
    tie_sorted, tie_order = TopK <axis = 1, largest = 0> (tie_key, best_pair_count)
    tie_ranked = GatherElements <axis = 1> (tie_place, tie_order)
    pair = GatherElements <axis = 1> (best_pair, tie_ranked)
}}
"""


def _best(name: str, scores: str, batch: int, count: int) -> str:
    """Return nodes that give the numbers of the ``count`` best scores, ascending; of equal ones the lower are taken.

    All above the last of the best are in, and of those equal to it the first that there is room for.
    """
    return f"""
    {name}_count = Constant <value = int64[1] {{{count}}}> ()
    {name}_axes = Constant <value = int64[1] {{1}}> ()
    {name}_axis = Constant <value = int64 {{1}}> ()
    {name}_shape = Constant <value = int64[2] {{{batch}, {count}}}> ()
    {name}_places = Constant <value_float = {float(count)}> ()
    {name}_values, {name}_any = TopK <axis = 1> ({scores}, {name}_count)
    {name}_least = ReduceMin <axes = [1], keepdims = 1> ({name}_values)
    {name}_better = Greater ({name}_values, {name}_least)
    {name}_better_float = Cast <to = 1> ({name}_better)
    {name}_taken = ReduceSum <keepdims = 1> ({name}_better_float, {name}_axes)
    {name}_room = Sub ({name}_places, {name}_taken)
    {name}_level = Equal ({scores}, {name}_least)
    {name}_level_float = Cast <to = 1> ({name}_level)
    {name}_counted = CumSum ({name}_level_float, {name}_axis)
    {name}_fits = LessOrEqual ({name}_counted, {name}_room)
    {name}_level_in = And ({name}_level, {name}_fits)
    {name}_above = Greater ({scores}, {name}_least)
    {name}_in = Or ({name}_above, {name}_level_in)
    {name}_found = NonZero ({name}_in)
    {name}_flat = Gather <axis = 0> ({name}_found, {name}_axis)
    {name} = Reshape ({name}_flat, {name}_shape)"""
