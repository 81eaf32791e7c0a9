from __future__ import annotations

import onnx
import onnx.parser

from ssd_edge.engines.ort_build import OrtBuilder, use_non_max_suppression
from ssd_edge.exporting.export_onnx import onnx_model
from tests.exporting.models import lively_model
from tests.exporting.nms_graph import Shape, nms_model

# That the detections stay the same to the bit, tests/export holds: `assert_equal_to_reference` runs both bodies.
SHAPE = Shape(boxes=50, classes=3, candidates=40, rows=20)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for function in model.functions for node in function.node]


def test_matrix_and_loop_go_and_the_operator_comes():
    before, after = operators(nms_model(SHAPE)), operators(use_non_max_suppression(nms_model(SHAPE)))
    assert "Loop" in before
    assert "NonMaxSuppression" not in before
    assert after.count("NonMaxSuppression") == 1
    assert not {"Loop", "MatMul", "Min", "Max", "Split"} & set(after)


def test_lowered_model_is_valid_and_the_given_one_stays_as_it_was():
    model = nms_model(SHAPE)
    before = model.SerializeToString()
    onnx.checker.check_model(use_non_max_suppression(model), full_check=True)
    assert model.SerializeToString() == before


def test_a_graph_without_our_body_stays_as_it_is():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) { y = Neg (x) }'
    )
    assert use_non_max_suppression(model) == model


def test_an_engine_has_the_operator_and_its_manifest_says_so(tmp_path):
    engine = tmp_path / "m.engine"
    OrtBuilder().build(onnx_model(lively_model("ssd192-tiny", input_size=64), "sha256:0"), engine)
    built = [node.op_type for node in onnx.load(engine).graph.node]
    assert "NonMaxSuppression" in built
    assert "Loop" not in built
    assert OrtBuilder().options.nms == "NonMaxSuppression"
