"""Suppression of the portable NMS in blocks: a Loop that keeps what has survived, and looks at a block of pairs a turn.

What M ranked pairs do to one another is M x M overlaps. A block of them needs those with the pairs that are kept so
far, of which there are at most K, and with one another: M / 100 times (K + 100) x 100, in tensors that stay in a core's
cache. And the Loop ends with the pairs that score enough, or with K kept ones, which nothing can displace any more.
"""

from __future__ import annotations

import math
from itertools import pairwise

from onnx import TensorProto

from ssd_edge.core.graph_contract import OUTPUT_NAMES
from ssd_edge.graph.nms_steps import areas, overlap, padding

_BLOCK = 100  # pairs; at 64 and 128 it takes as long, at 200 a third longer
_ROUNDS = 4  # a turn; anchors around objects need 2 to 6, and an unsettled block gets another turn
_FIELDS = 8  # of a pair: x1, y1, x2, y2, area, class, score, and 1 where it is one


def blocks(candidates: int, rows: int) -> str:
    """Rows (B, ``rows``, 8) of the kept ones of ``candidates`` ranked pairs, best first; those behind are blank."""
    count = math.ceil(candidates / _BLOCK)
    size = math.ceil(candidates / count)
    return f"""{_pairs(candidates, count, size)}{_bounds(rows, size)}
    most_turns = Constant <value_int = {count * (math.ceil(size / _ROUNDS) + 1)}> ()
    last_block, last_round, last_settled, kept = Loop <body = settle (
            int64 turn, bool before, int64 block, float[batch, 1, {size}] left_off, bool is_new,
            float[batch, {rows}, 8] known)
        => (bool goes_on, int64 next_block, float[batch, 1, {size}] round_{_ROUNDS}, bool settled,
            float[batch, {rows}, 8] known_now) {{
        own_rows = Gather <axis = 1> (row_blocks, block)
        own_columns = Gather <axis = 1> (column_blocks, block)
        all_rows = Concat <axis = 1> (known, own_rows){_overlaps()}
        over_limit = Greater (overlap, limit)
        same_class = Equal (class_a, class_b)
        suppresses_or_not = And (over_limit, same_class)
        suppresses_float = Cast <to = {TensorProto.FLOAT}> (suppresses_or_not)
        known_suppress, suppresses = Split <axis = 1> (suppresses_float, parts)
        hits_of_known = ReduceMax <axes = [1]> (known_suppress)
        not_hit = Sub (valid_b, hits_of_known)
        alive = Relu (not_hit)
        round_0 = Where (is_new, alive, left_off){_rounds()}
        upper = ReduceSum <keepdims = 0> (round_{_ROUNDS - 1})
        lower = ReduceSum <keepdims = 0> (round_{_ROUNDS})
        settled = Equal (upper, lower){_merged()}
    }}> (most_turns, start, first_block, nothing, yes, none)
    """


def _pairs(candidates: int, count: int, size: int) -> str:
    """Blocks of pairs as rows (B, blocks, size, 8) and columns (B, blocks, 8, size), and how many have valid ones."""
    missing = count * size - candidates
    rows = "pair_rows" if missing else "rows"
    fill = f"""
    row_filling = Constant <value = int64[6] {{0, 0, 0, 0, {missing}, 0}}> ()
    rows = Pad (pair_rows, row_filling, zero)"""
    return f"""
    score_threshold = Constant <value_float: float = @scoreThreshold> ()
    passes = Greater (ranked_scores, score_threshold)
    valid = Cast <to = {TensorProto.FLOAT}> (passes)
    x1, y1, x2, y2 = Split <axis = 2> (ranked_boxes){areas()}
    class_column = Unsqueeze (ranked_classes, axis_2)
    score_column = Unsqueeze (ranked_scores, axis_2)
    valid_column = Unsqueeze (valid, axis_2)
    {rows} = Concat <axis = 2> (ranked_boxes, area, class_column, score_column, valid_column){fill if missing else ""}
    block_shape = Constant <value = int64[4] {{0, {count}, {size}, {_FIELDS}}}> ()
    row_blocks = Reshape (rows, block_shape)
    column_blocks = Transpose <perm = [0, 1, 3, 2]> (row_blocks)
    valid_count = ReduceSum <keepdims = 0> (valid, axis_1)
    most_valid = ReduceMax <keepdims = 0> (valid_count)
    block_size = Constant <value_float = {float(size)}> ()
    parts_of_blocks = Div (most_valid, block_size)
    whole_blocks = Ceil (parts_of_blocks)
    needed_blocks = Cast <to = {TensorProto.INT64}> (whole_blocks)
    """


def _bounds(rows: int, size: int) -> str:
    """Tensors that a turn reads and does not change, and those that the first one begins with.

    A row suppresses a column that ranks behind it: all kept ones do. Towards others the limit is infinite.
    """
    return f"""
    first_block = Constant <value_int = 0> ()
    start = Less (first_block, needed_blocks)
    iou_threshold = Constant <value_float: float = @iouThreshold> ()
    first_rank = Constant <value_float = {float(-rows)}> ()
    ranks = Range (first_rank, block_size, one)
    own_ranks = Range (zero, block_size, one)
    rank_column = Unsqueeze (ranks, axis_1)
    better = Less (rank_column, own_ranks)
    never = Constant <value_float = inf> ()
    limit = Where (better, iou_threshold, never)
    countdown = Sub (block_size, ranks)
    all_count = Constant <value_float = {float(rows + size)}> ()
    no_pair = Constant <value = float[{_FIELDS}] {{0, 0, 0, 0, 0, -1, 0, 0}}> ()
    batch_axis = Shape <end = 1> (ranked_scores)
    kept_shape = Constant <value = int64[2] {{{rows}, {_FIELDS}}}> ()
    none_shape = Concat <axis = 0> (batch_axis, kept_shape)
    none = Expand (no_pair, none_shape)
    round_shape = Constant <value = int64[2] {{1, {size}}}> ()
    nothing_shape = Concat <axis = 0> (batch_axis, round_shape)
    nothing = Expand (zero, nothing_shape)
    yes = Constant <value = bool {{1}}> ()
    parts = Constant <value = int64[2] {{{rows}, {size}}}> ()
    flag_shape = Constant <value = int64[3] {{0, 1, {rows}}}> ()
    kept_count = Constant <value = int64[1] {{{rows}}}> ()
    last_row = Constant <value_int = {rows - 1}> ()
    """


def _overlaps() -> str:
    """Intersection over union of rows and columns."""
    return f"""
        x1_a, y1_a, x2_a, y2_a, area_a, class_a, score_a, valid_a = Split <axis = 2> (all_rows)
        x1_b, y1_b, x2_b, y2_b, area_b, class_b, score_b, valid_b = Split <axis = 1> (own_columns)
        {overlap("_a", "_b")}"""


def _rounds() -> str:
    """Rounds inside a block; successive ones enclose the result, so they are it when their counts are equal."""
    names = [f"round_{number}" for number in range(_ROUNDS + 1)]
    return "".join(
        f"""
        hits_{old} = MatMul ({old}, suppresses)
        left_{old} = Sub (alive, hits_{old})
        {new} = Relu (left_{old})"""
        for old, new in pairwise(names)
    )


def _merged() -> str:
    """Kept rows and those of the block that stay, best first, by a TopK over distinct keys; and whether to go on."""
    return f"""
        known_valid, own_valid = Split <axis = 1> (valid_a, parts)
        known_flags = Reshape (known_valid, flag_shape)
        flags_row = Concat <axis = 2> (known_flags, round_{_ROUNDS})
        flags = Squeeze (flags_row, axis_1)
        bonus = Mul (flags, all_count)
        key = Add (bonus, countdown)
        best_key, best = TopK <axis = 1> (key, kept_count)
        found = Greater (best_key, all_count)
        best_index = Unsqueeze (best, axis_2)
        best_rows = GatherND <batch_dims = 1> (all_rows, best_index)
        found_column = Unsqueeze (found, axis_2)
        merged = Where (found_column, best_rows, no_pair)
        known_now = Where (settled, merged, known)
        step = Cast <to = {TensorProto.INT64}> (settled)
        next_block = Add (block, step)
        is_left = Less (next_block, needed_blocks)
        last_found = Gather <axis = 1> (found, last_row)
        last_found_float = Cast <to = {TensorProto.FLOAT}> (last_found)
        full = ReduceMin <keepdims = 0> (last_found_float)
        has_room = Less (full, one)
        unsettled = Not (settled)
        is_open = Or (has_room, unsettled)
        goes_on = And (is_left, is_open)"""


def outputs_of_rows(rows: int, keep_top_k: int) -> str:
    """The four outputs, of the kept rows."""
    missing = keep_top_k - rows
    names = [f"{name}_rows" if missing else name for name in OUTPUT_NAMES[1:]]
    return f"""
    field_widths = Constant <value = int64[5] {{4, 1, 1, 1, 1}}> ()
    {names[0]}, kept_area, kept_class, kept_score, kept_valid = Split <axis = 2> (kept, field_widths)
    {names[1]} = Squeeze (kept_score, axis_2)
    {names[2]} = Squeeze (kept_class, axis_2)
    kept_flags = Squeeze (kept_valid, axis_2)
    kept_ints = Cast <to = {TensorProto.INT32}> (kept_flags)
    {OUTPUT_NAMES[0]} = ReduceSum <keepdims = 1> (kept_ints, axis_1)
    no_class = Constant <value_float = -1.0> ()
    {padding(missing) if missing else ""}
    """
