from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP
from ssd_edge.graph.nms_bodies import inline_function, strip_function

DOUBLE = """
<ir_version: 8, opset_import: ["" : 17, "trt.plugins" : 1]>
doubling (float[n] x) => (float[n] y)
{ y = trt.plugins.BatchedNMSDynamic_TRT <factor = 3.0, plugin_version = "1"> (x) }
<domain: "trt.plugins", opset_import: ["" : 17]>
BatchedNMSDynamic_TRT <factor, plugin_version> (x) => (y)
{ factor = Constant <value_float: float = @factor> ()
  y = Mul (x, factor) }
<domain: "other", opset_import: ["" : 17]>
Unused (x) => (y)
{ y = Neg (x) }
"""


@pytest.fixture
def model():
    """A node of the right name whose body is easy to check: it multiplies by an attribute."""
    return onnx.parser.parse_model(DOUBLE)


def test_stripped_model_keeps_the_node_with_its_attributes_and_loses_the_body(model):
    stripped = strip_function(model)
    assert [node.op_type for node in stripped.graph.node] == [NMS_OP]
    assert {entry.name for entry in stripped.graph.node[0].attribute} == {"factor", "plugin_version"}
    assert [function.name for function in stripped.functions] == ["Unused"]
    onnx.checker.check_model(stripped)


def test_inlined_model_has_neither_node_nor_domain_and_computes_the_same(model):
    inlined = inline_function(model)
    assert NMS_OP not in [node.op_type for node in inlined.graph.node]
    assert NMS_DOMAIN not in [entry.domain for entry in inlined.opset_import]
    assert [function.name for function in inlined.functions] == ["Unused"]
    onnx.checker.check_model(inlined, full_check=True)
    numbers = np.arange(4, dtype=np.float32)
    for variant in (model, inlined):
        session = onnxruntime.InferenceSession(variant.SerializeToString())
        np.testing.assert_array_equal(session.run(None, {"x": numbers})[0], 3 * numbers)


@pytest.mark.parametrize("lower", [strip_function, inline_function])
def test_the_model_that_is_given_stays_as_it_was(model, lower):
    before = model.SerializeToString()
    lower(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("lower", [strip_function, inline_function])
def test_a_model_without_the_node_is_refused(lower):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value], [output])
    with pytest.raises(ArtifactError, match=r"has no BatchedNMSDynamic_TRT node: got 1 other nodes.*ssd-edge export"):
        lower(helper.make_model(graph))


def test_a_stripped_model_cannot_be_inlined(model):
    with pytest.raises(
        ArtifactError, match=r"no portable implementation of BatchedNMSDynamic_TRT.*Export the model again"
    ):
        inline_function(strip_function(model))
