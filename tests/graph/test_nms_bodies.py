"""The NMS as engines have it: rounds written out, and TensorRT's EfficientNMS plugin."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.parser
import onnxruntime
import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import EFFICIENT_NMS, OUTPUT_NAMES, ROUNDS_KEY
from ssd_edge.engines.openvino_nms import use_openvino_nms
from ssd_edge.engines.ort_build import use_non_max_suppression
from ssd_edge.graph.nms_bodies import inline_function, rounds_counted, rounds_for, use_efficient_nms, write_out_rounds
from ssd_edge.graph.nms_rounds import rounds_needed
from ssd_edge.graph.nms_steps import (
    best_boxes,
    best_kept,
    constants,
    overlaps,
    rank_pairs,
    ranks,
    suppression,
    valid_pairs,
)
from tests.exporting.nms_graph import (
    LOOP,
    OPERATOR,
    ROUNDS,
    ROUNDS_OF_SUMS,
    Shape,
    assert_equal_to_reference,
    nms_model,
    run,
)
from tests.exporting.scored_boxes import draw_boxes, draw_scores
from tests.graph.test_nms_function import WIDE, chain

ALL_ROWS = dataclasses.replace(WIDE, rows=WIDE.candidates)
LONG = Shape(boxes=400, classes=1, iou_threshold=0.5)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in (*model.graph.node, *(node for body in model.functions for node in body.node))]


@pytest.mark.parametrize("form", [ROUNDS, ROUNDS_OF_SUMS])
def test_a_chain_as_long_as_the_rounds_is_resolved_to_its_end(form):
    for count in (1, 2, 3, 8, 16, 17):
        shape = Shape(boxes=count, classes=1, iou_threshold=0.5)
        assert_equal_to_reference(shape, *chain(count), (form,))


@pytest.mark.parametrize("rounds", [2, 4, 16, 40])
def test_a_longer_chain_leaves_duplicates_and_loses_no_object(rounds):
    boxes, scores = chain(400)
    exact, unfinished = (
        {tuple(row) for row in found[1][0, : found[0][0, 0]]}
        for found in (run(LONG, boxes, scores), run(LONG, boxes, scores, ROUNDS, rounds))
    )
    # The rows are fewer than what is left: of what fits both keep the best, and nothing that is exact is missing there.
    left = np.sort([row[0] for row in unfinished])[-1]
    assert {row for row in exact if row[0] <= left} <= unfinished
    assert unfinished - exact


@pytest.mark.parametrize("form", [ROUNDS, ROUNDS_OF_SUMS])
def test_ties_empty_boxes_and_padding(form):
    rng = np.random.default_rng(7)
    boxes = draw_boxes(rng, 2, 500)
    assert_equal_to_reference(WIDE, boxes, np.full((2, 500, 4), 0.5, np.float32), (form,))
    assert_equal_to_reference(WIDE, np.full((1, 500, 4), 0.5, np.float32), draw_scores(rng, 1, WIDE), (form,))
    assert_equal_to_reference(WIDE, boxes, np.full((2, 500, 4), 0.001, np.float32), (form,))


MATRIX = """
    most_iterations = Constant <value_int = 30> ()
    start = Constant <value = bool {1}> ()
    kept_row = Loop <body = settle (int64 iteration, bool unsettled, float[batch, 1, 120] before)
        => (bool changed, float[batch, 1, 120] round_2) {
        hits_before = MatMul (before, suppresses)
        left_before = Sub (valid, hits_before)
        round_1 = Relu (left_before)
        hits_1 = MatMul (round_1, suppresses)
        left_1 = Sub (valid, hits_1)
        round_2 = Relu (left_1)
        upper = ReduceSum <keepdims = 0> (round_1)
        lower = ReduceSum <keepdims = 0> (round_2)
        equal = Equal (upper, lower)
        changed = Not (equal)
    }> (most_iterations, start, valid)
    kept = Squeeze (kept_row, axis_1)
"""
"""How files of earlier releases settle suppression: one matrix for all pairs, here of WIDE's 120."""


@pytest.mark.parametrize("form", [LOOP, OPERATOR, ROUNDS])
def test_a_body_of_an_earlier_release_gives_what_it_gave(form):
    steps = [
        constants(WIDE.candidates), best_boxes(WIDE.candidates), rank_pairs(WIDE.candidates, WIDE.candidates, 4),
        overlaps(WIDE.candidates), ranks(), suppression(), valid_pairs(), MATRIX, best_kept(WIDE.rows, WIDE.rows),
    ]  # fmt: skip
    old = onnx.ModelProto()
    old.CopyFrom(nms_model(WIDE))
    body = old.functions[0]
    header = f'<domain: "{body.domain}", opset_import: ["" : 17]>\n{body.name} <{", ".join(body.attribute)}>'
    text = f"{header} (boxes, scores) => ({', '.join(OUTPUT_NAMES)})\n{{{''.join(steps)}}}"
    body.CopyFrom(onnx.parser.parse_function(text))
    made = {LOOP: old, OPERATOR: use_non_max_suppression(old), ROUNDS: write_out_rounds(old, 120)}[form]
    runs = onnxruntime.InferenceSession(made.SerializeToString())
    rng = np.random.default_rng(3)
    boxes, scores = draw_boxes(rng, 2, 500), draw_scores(rng, 2, WIDE)
    found = runs.run(OUTPUT_NAMES, {"boxes": boxes[:, :, None], "scores": scores})
    for got, wanted in zip(found, run(WIDE, boxes, scores), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_loop_ends_with_the_rows_that_are_asked_for(tmp_path):
    """Thousands of pairs that do not overlap: the first block fills the rows, and no other is looked at."""
    shape = Shape(boxes=2500, classes=1, candidates=2000, rows=50)
    left = np.linspace(0, 0.99, shape.boxes, dtype=np.float32)
    boxes = np.stack([left, np.zeros_like(left), left + 1e-4, np.ones_like(left)], axis=1)[None]
    scores = np.linspace(0.9, 0.1, shape.boxes, dtype=np.float32)[None, :, None]
    assert_equal_to_reference(shape, boxes, scores, (LOOP,))
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    profiled = onnxruntime.InferenceSession(nms_model(shape).SerializeToString(), options)
    profiled.run(OUTPUT_NAMES, {"boxes": boxes[:, :, None], "scores": scores})
    events = json.loads(Path(profiled.end_profiling()).read_text())
    kernels = [event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")]
    assert kernels.count("GatherND") <= 3  # near boxes, ranked boxes, and the rows of one turn


def test_no_loop_and_no_round_that_no_chain_can_need():
    assert "Loop" in operators(nms_model(WIDE))
    for products in (True, False):
        made = write_out_rounds(nms_model(WIDE), 16, products=products)
        onnx.checker.check_model(made, full_check=True)
        assert "Loop" not in operators(made)
        assert operators(made).count("MatMul") == (16 if products else 0)
        assert not {"NonZero", "NonMaxSuppression"} & set(operators(made))
    few = Shape(boxes=3, classes=1, candidates=3, rows=3)
    assert operators(write_out_rounds(nms_model(few), 16)).count("MatMul") == 4


@pytest.mark.parametrize(
    ("counted", "rounds"), [(None, 16), ("0", 16), ("3", 16), ("8", 16), ("9", 18), ("21", 42), ("x", 16)]
)
def test_rounds_are_twice_what_the_parity_images_needed(counted, rounds):
    model = onnx.ModelProto()
    model.CopyFrom(nms_model(WIDE))
    if counted is not None:
        onnx.helper.set_model_props(model, {ROUNDS_KEY: counted})
    assert rounds_for(model) == rounds
    assert rounds_counted(model) == (int(counted) if counted and counted.isdigit() else None)


def test_the_count_is_the_number_of_links_and_the_graph_settles_in_it():
    for count in (1, 2, 7, 50):
        boxes, scores = chain(count)
        needed = rounds_needed(boxes[0], scores[0], LONG.spec)
        # Links 1 of 2 are settled by the first round, and each round more settles one more.
        assert needed == max(0, count - 1)
    rng = np.random.default_rng(1)
    for _ in range(20):
        boxes, scores = draw_boxes(rng, 1, ALL_ROWS.boxes), draw_scores(rng, 1, ALL_ROWS)
        needed = rounds_needed(boxes[0], scores[0], ALL_ROWS.spec)
        assert_equal_to_reference(ALL_ROWS, boxes, scores, (ROUNDS,), needed + needed % 2)
        if needed > 2:
            short = run(ALL_ROWS, boxes, scores, ROUNDS, 2)
            assert not all(map(np.array_equal, short, run(ALL_ROWS, boxes, scores)))


def test_efficient_nms_keeps_the_contract_and_its_own_attributes():
    model = nms_model(WIDE)
    made = use_efficient_nms(model)
    nodes = {node.op_type: node for node in made.graph.node}
    values = {entry.name: onnx.helper.get_attribute_value(entry) for entry in nodes[EFFICIENT_NMS].attribute}
    assert values == {
        "score_threshold": pytest.approx(WIDE.score_threshold),
        "iou_threshold": pytest.approx(WIDE.iou_threshold),
        "max_output_boxes": WIDE.rows,
        "background_class": -1,
        "score_activation": 0,
        "class_agnostic": 0,
        "box_coding": 0,
        "plugin_version": b"1",
    }
    assert [output.name for output in made.graph.output] == list(OUTPUT_NAMES)
    assert not made.functions
    assert nodes[EFFICIENT_NMS].input[1] == "scores"


def test_efficient_nms_gives_float_classes_and_pads_them_by_minus_one():
    made = use_efficient_nms(nms_model(WIDE))
    plugin = next(node for node in made.graph.node if node.op_type == EFFICIENT_NMS)
    graph = made.graph
    after = [node for node in graph.node if node is not plugin and "boxes" not in node.input]
    kinds = {"num_detections": onnx.TensorProto.INT32, plugin.output[3]: onnx.TensorProto.INT32}
    inputs = [onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    wanted = [output for output in graph.output if output.name == "nmsed_classes"]
    tail = onnx.helper.make_model(
        onnx.helper.make_graph([node for node in after if "efficient_axis" not in node.output], "tail", inputs, wanted),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    ids = np.zeros((2, WIDE.rows), np.int32)
    ids[1, :3] = 2, 0, 1
    given = {"num_detections": np.array([[0], [3]], np.int32), plugin.output[3]: ids}
    (classes,) = onnxruntime.InferenceSession(tail.SerializeToString()).run(None, given)
    assert classes.dtype == np.float32
    assert (classes[0] == -1).all()
    assert classes[1, :4].tolist() == [2, 0, 1, -1]


def test_names_of_foreign_graphs_need_not_be_onnx_text():
    model = onnx.ModelProto()
    model.CopyFrom(nms_model(WIDE))
    for entry in (*model.graph.input, model.graph.node[0]):
        if isinstance(entry, onnx.NodeProto):
            entry.input[:] = [f"/decode:{name}/0" for name in entry.input]
        else:
            entry.name = f"/decode:{entry.name}/0"
    made = use_efficient_nms(model)
    assert any("/decode:scores/0" in node.input for node in made.graph.node)
    onnx.checker.check_model(inline_function(write_out_rounds(model, 16)), full_check=True)


def without_opset(model: onnx.ModelProto) -> None:
    del model.functions[0].opset_import[:]


def without_candidates(model: onnx.ModelProto) -> None:
    body = model.functions[0]
    body.node.remove(next(node for node in body.node if "pair_count" in node.output))


def with_two_counts(model: onnx.ModelProto) -> None:
    maker = next(node for node in model.functions[0].node if "near_count" in node.output)
    maker.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 2])))


def without_scores(model: onnx.ModelProto) -> None:
    for node in model.functions[0].node:
        node.output[:] = [name.replace("ranked_scores", "other") for name in node.output]


def without_rows(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type.startswith("BatchedNMS"))
    node.attribute.remove(next(entry for entry in node.attribute if entry.name == "keepTopK"))


def with_threshold_in_words(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type.startswith("BatchedNMS"))
    entry = next(entry for entry in node.attribute if entry.name == "iouThreshold")
    entry.CopyFrom(onnx.helper.make_attribute("iouThreshold", "half"))


def with_a_strange_attribute(model: onnx.ModelProto) -> None:
    model.functions[0].attribute[-1] = "{name}"


def with_a_strange_output(model: onnx.ModelProto) -> None:
    model.functions[0].output[-1] = "{name}"


DAMAGES = [
    (without_opset, "no version of ONNX's operators"),
    (without_candidates, "no pair_count"),
    (with_two_counts, r"\[1, 2\] for its near_count"),
    (without_scores, "no ranked_scores"),
    (without_rows, "no valid keepTopK"),
    (with_threshold_in_words, "no valid iouThreshold"),
    (with_a_strange_attribute, r"'\{name\}'"),
    (with_a_strange_output, r"'\{name\}'"),
]
LOWERINGS = [partial(write_out_rounds, rounds=16), use_non_max_suppression, partial(use_openvino_nms, batch=1)]


@pytest.mark.parametrize(("damage", "got"), DAMAGES)
@pytest.mark.parametrize("lower", LOWERINGS)
def test_a_damaged_function_or_node_is_refused_by_every_lowering(
    damage: Callable[[onnx.ModelProto], None], got: str, lower: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(nms_model(WIDE))
    damage(model)
    with pytest.raises(ArtifactError, match=f"the graph is damaged: got {got} in its BatchedNMS"):
        lower(model)
