"""The steps of the portable NMS, each a piece of ONNX text that reads the names of the steps before it.

M candidates, N boxes, C classes, B images; every shape but B is fixed when the function is written.
"""

from __future__ import annotations

from onnx import TensorProto

from ssd_edge.core.graph_contract import OUTPUT_NAMES


def constants(candidates: int) -> str:
    """Name what several steps read."""
    return f"""
    axis_1 = Constant <value = int64[1] {{1}}> ()
    axis_2 = Constant <value = int64[1] {{2}}> ()
    zero = Constant <value_float = 0.0> ()
    one = Constant <value_float = 1.0> ()
    count = Constant <value_float = {float(candidates)}> ()
    """


def all_boxes() -> str:
    """Take every box as it is."""
    return """
    near_boxes = Squeeze (boxes, axis_2)
    near_scores = Identity (scores)
    """


def best_boxes(near: int) -> str:
    """Take the ``near`` boxes of the best maximum score, in their old order, so that TopK sees M * C pairs, not N * C.

    Exact for near = M: a pair of a box that is left out is beaten by the best pair of each of the M boxes.
    """
    return f"""
    best_score = ReduceMax <axes = [2], keepdims = 0> (scores)
    near_count = Constant <value = int64[1] {{{near}}}> ()
    near_best, near_id = TopK <axis = 1> (best_score, near_count)
    near_number = Cast <to = {TensorProto.FLOAT}> (near_id)
    near_sorted, near_order = TopK <axis = 1, largest = 0> (near_number, near_count)
    near_row = Cast <to = {TensorProto.INT64}> (near_sorted)
    near_index = Unsqueeze (near_row, axis_2)
    flat_boxes = Squeeze (boxes, axis_2)
    near_boxes = GatherND <batch_dims = 1> (flat_boxes, near_index)
    near_scores = GatherND <batch_dims = 1> (scores, near_index)
    """


def rank_pairs(candidates: int, near: int, num_classes: int) -> str:
    """Rank the M best (box, class) pairs: scores and classes (B, M), boxes (B, M, 4)."""
    return f"""
    pair_shape = Constant <value = int64[2] {{-1, {near * num_classes}}}> ()
    pair_scores = Reshape (near_scores, pair_shape)
    pair_count = Constant <value = int64[1] {{{candidates}}}> ()
    ranked_scores, pair = TopK <axis = 1> (pair_scores, pair_count)
    num_classes = Constant <value_int = {num_classes}> ()
    box_id = Div (pair, num_classes)
    first_of_box = Mul (box_id, num_classes)
    class_id = Sub (pair, first_of_box)
    ranked_classes = Cast <to = {TensorProto.FLOAT}> (class_id)
    box_index = Unsqueeze (box_id, axis_2)
    ranked_boxes = GatherND <batch_dims = 1> (near_boxes, box_index)
    """


def areas() -> str:
    """Areas (B, M, 1) of boxes by their corners.

    Areas are raised to the smallest normal float, which keeps 0 / 0 away and changes no area above 1e-30.
    """
    return """
    width = Sub (x2, x1)
    height = Sub (y2, y1)
    plain_area = Mul (width, height)
    least_area = Constant <value_float = 1.1754944e-38> ()
    area = Max (plain_area, least_area)"""


def overlap(row: str, column: str) -> str:
    """Intersection over union of corners and areas whose names end so, in torchvision's order of operations."""
    return f"""
    left = Max (x1{row}, x1{column})
    top = Max (y1{row}, y1{column})
    right = Min (x2{row}, x2{column})
    bottom = Min (y2{row}, y2{column})
    signed_width = Sub (right, left)
    common_width = Relu (signed_width)
    common_height = Sub (bottom, top)
    intersection = Mul (common_width, common_height)
    both_areas = Add (area{row}, area{column})
    union = Sub (both_areas, intersection)
    overlap = Div (intersection, union)"""


def overlaps(candidates: int) -> str:
    """Intersection over union (B, M, M) of the ranked boxes."""
    return f"""
    as_row = Constant <value = int64[3] {{-1, 1, {candidates}}}> ()
    x1, y1, x2, y2 = Split <axis = 2> (ranked_boxes)
    x1_row = Reshape (x1, as_row)
    y1_row = Reshape (y1, as_row)
    x2_row = Reshape (x2, as_row)
    y2_row = Reshape (y2, as_row){areas()}
    area_row = Reshape (area, as_row){overlap("", "_row")}
    """


def ranks() -> str:
    """The places 0 to M - 1 of the ranked pairs."""
    return """
    rank = Range (zero, count, one)
    """


def suppression() -> str:
    """Matrix (B, M, M) of 1 where the row's pair, if kept, suppresses the column's: better, same class, overlapping.

    "Better" costs no step of its own: towards pairs of a better rank the limit is infinite.
    """
    return f"""
    iou_threshold = Constant <value_float: float = @iouThreshold> ()
    rank_column = Unsqueeze (rank, axis_1)
    better = Less (rank_column, rank)
    never = Constant <value_float = inf> ()
    limit = Where (better, iou_threshold, never)
    too_much = Greater (overlap, limit)
    class_column = Unsqueeze (ranked_classes, axis_2)
    class_row = Unsqueeze (ranked_classes, axis_1)
    same_class = Equal (class_column, class_row)
    suppresses_or_not = And (too_much, same_class)
    suppresses = Cast <to = {TensorProto.FLOAT}> (suppresses_or_not)
    """


def valid_pairs() -> str:
    """Ranked pairs that score enough: 1 or 0, (B, 1, M)."""
    return f"""
    score_threshold = Constant <value_float: float = @scoreThreshold> ()
    passes = Greater (ranked_scores, score_threshold)
    passes_float = Cast <to = {TensorProto.FLOAT}> (passes)
    valid = Unsqueeze (passes_float, axis_1)
    """


def best_kept(rows: int, keep_top_k: int) -> str:
    """Bring the kept ones to the front by a TopK over distinct keys (kept: 2M - rank, others: M - rank), and pad."""
    padded = rows < keep_top_k
    names = [f"{name}_rows" if padded else name for name in OUTPUT_NAMES[1:]]
    return f"""
    bonus = Mul (kept, count)
    countdown = Sub (count, rank)
    key = Add (bonus, countdown)
    row_count = Constant <value = int64[1] {{{rows}}}> ()
    best_key, best = TopK <axis = 1> (key, row_count)
    found = Greater (best_key, count)
    best_index = Unsqueeze (best, axis_2)
    best_boxes = GatherND <batch_dims = 1> (ranked_boxes, best_index)
    best_scores = GatherElements <axis = 1> (ranked_scores, best)
    best_classes = GatherElements <axis = 1> (ranked_classes, best)
    found_box = Unsqueeze (found, axis_2)
    no_class = Constant <value_float = -1.0> ()
    {names[0]} = Where (found_box, best_boxes, zero)
    {names[1]} = Where (found, best_scores, zero)
    {names[2]} = Where (found, best_classes, no_class)
    found_count = Cast <to = {TensorProto.INT32}> (found)
    {OUTPUT_NAMES[0]} = ReduceSum <keepdims = 1> (found_count, axis_1)
    {padding(keep_top_k - rows) if padded else ""}
    """


def padding(missing: int) -> str:
    """Fill the outputs up with so many rows that hold nothing."""
    return f"""
    box_padding = Constant <value = int64[6] {{0, 0, 0, 0, {missing}, 0}}> ()
    row_padding = Constant <value = int64[4] {{0, 0, 0, {missing}}}> ()
    nmsed_boxes = Pad (nmsed_boxes_rows, box_padding, zero)
    nmsed_scores = Pad (nmsed_scores_rows, row_padding, zero)
    nmsed_classes = Pad (nmsed_classes_rows, row_padding, no_class)
    """
