"""A model that is nothing but the BatchedNMS node, and sessions that run it: as exported, and as engines have it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from ssd_edge.backends.openvino.module import core
from ssd_edge.core.graph_contract import NMS_DOMAIN, OUTPUT_NAMES
from ssd_edge.core.spec import NmsSpec
from ssd_edge.engines.openvino_build import openvino_graph
from ssd_edge.engines.ort_build import use_non_max_suppression
from ssd_edge.graph.nms import OPSET, batched_nms_function, nms_node, nms_outputs
from ssd_edge.graph.nms_bodies import LEAST_ROUNDS, write_out_rounds
from tests.exporting.greedy_nms import as_outputs, greedy_nms


@dataclass(frozen=True)
class Shape:
    """Sizes and thresholds of one graph: N boxes, C classes, M candidates, K rows."""

    boxes: int
    classes: int
    candidates: int = 400
    rows: int = 200
    score_threshold: float = 0.01
    iou_threshold: float = 0.45

    @property
    def spec(self) -> NmsSpec:
        return NmsSpec(
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            top_k=self.candidates,
            keep_top_k=self.rows,
            max_candidates=self.candidates,
        )


@cache
def nms_model(shape: Shape) -> onnx.ModelProto:
    function = batched_nms_function(shape.boxes, shape.classes, max_candidates=shape.candidates, keep_top_k=shape.rows)
    inputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", shape.boxes, 1, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", shape.boxes, shape.classes]),
    ]
    node = nms_node("boxes", "scores", shape.classes, shape.spec)
    graph = helper.make_graph([node], "nms", inputs, nms_outputs("batch", shape.rows))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(NMS_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)


LOOP, OPERATOR, ROUNDS, ROUNDS_OF_SUMS = "loop", "operator", "rounds", "rounds of sums"
OPENVINO = "operator in OpenVINO"


def body(shape: Shape, form: str, rounds: int = LEAST_ROUNDS) -> onnx.ModelProto:
    """As exported, as ONNX Runtime's engines have it, as TensorRT's have it, and as those for Turing have it."""
    model = nms_model(shape)
    if form == OPERATOR:
        return use_non_max_suppression(model)
    return model if form == LOOP else write_out_rounds(model, rounds, products=form == ROUNDS)


@cache
def session(shape: Shape, form: str = LOOP, rounds: int = LEAST_ROUNDS) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(body(shape, form, rounds).SerializeToString(), options)


@cache
def openvino_request(shape: Shape):
    """The body of OpenVINO's engines, for one image at a time as there."""
    return (
        core()
        .compile_model(core().read_model(openvino_graph(nms_model(shape)).SerializeToString()), "CPU")
        .create_infer_request()
    )


def run(shape: Shape, boxes, scores, form: str = LOOP, rounds: int = LEAST_ROUNDS):
    """Run a batch: boxes (B, N, 4), scores (B, N, C)."""
    inputs = {"boxes": boxes[:, :, None], "scores": scores}
    if form == OPENVINO:
        request = openvino_request(shape)
        each = [
            request.infer({name: value[row : row + 1] for name, value in inputs.items()}) for row in range(len(boxes))
        ]
        return [np.concatenate([found[name] for found in each]) for name in OUTPUT_NAMES]
    return session(shape, form, rounds).run(list(OUTPUT_NAMES), inputs)


def reference(shape: Shape, boxes, scores):
    """What :func:`run` must give, from the plain reference."""
    pictures = [
        as_outputs(
            greedy_nms(
                picture,
                marks,
                score_threshold=shape.score_threshold,
                iou_threshold=shape.iou_threshold,
                max_candidates=shape.candidates,
            ),
            picture,
            shape.rows,
        )
        for picture, marks in zip(boxes, scores, strict=True)
    ]
    return [np.stack(parts) for parts in zip(*pictures, strict=True)]


def assert_equal_to_reference(
    shape: Shape, boxes, scores, forms=(LOOP, OPERATOR, OPENVINO), rounds: int = LEAST_ROUNDS
) -> None:
    """Hold every output of some forms of the body, bit by bit."""
    wanted = reference(shape, boxes, scores)
    for form in forms:
        for name, got, right in zip(OUTPUT_NAMES, run(shape, boxes, scores, form, rounds), wanted, strict=True):
            assert got.dtype == right.dtype, name
            np.testing.assert_array_equal(got, right, err_msg=f"{name}, {form}")
