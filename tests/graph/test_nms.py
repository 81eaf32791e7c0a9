from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP, OUTPUT_NAMES
from ssd_edge.core.spec import AnchorLevel, AnchorSpec, InputSpec, ModelSpec, NmsSpec
from ssd_edge.graph.nms import ATTRIBUTES, attach_nms, nms_node

SPEC = ModelSpec(
    name="m",
    architecture="a",
    input=InputSpec(64, 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    anchors=AnchorSpec((AnchorLevel(5, 5, (0.2, 0.2), ((0.1, 0.1), (0.2, 0.2))),)),
    class_names=("a", "b", "c"),
    nms=NmsSpec(score_threshold=0.02, iou_threshold=0.6, top_k=300, keep_top_k=70, max_candidates=90),
)


def decoded_model():
    """Scored boxes that come in from outside."""
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["batch", 50, 1, 4])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 50, 3])
    copies = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ("boxes", "scores")]
    outputs = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in (boxes, scores)]
    for value in outputs:
        value.name += "_out"
    graph = helper.make_graph(copies, "decoded", [boxes, scores], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_every_attribute_of_the_plugin_is_written():
    node = nms_node("boxes", "scores", 3, SPEC.nms)
    values = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    assert tuple(sorted(values)) == tuple(sorted(ATTRIBUTES))
    assert values["numClasses"] == 3
    assert (values["topK"], values["keepTopK"]) == (300, 70)
    assert abs(values["scoreThreshold"] - 0.02) < 1e-8
    assert abs(values["iouThreshold"] - 0.6) < 1e-7
    assert (values["backgroundLabelId"], values["shareLocation"], values["isNormalized"]) == (-1, 1, 1)
    assert (values["clipBoxes"], values["plugin_version"]) == (0, b"1")


def test_attached_model_has_the_outputs_of_the_contract_and_is_valid():
    model = attach_nms(decoded_model(), SPEC)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.output
    }
    assert tuple(shapes) == OUTPUT_NAMES
    assert list(shapes.values()) == [["batch", 1], ["batch", 70, 4], ["batch", 70], ["batch", 70]]
    assert [value.type.tensor_type.elem_type for value in model.graph.output] == [TensorProto.INT32] + 3 * [
        TensorProto.FLOAT
    ]
    assert (model.functions[0].domain, model.functions[0].name) == (NMS_DOMAIN, NMS_OP)


def test_the_model_that_is_given_stays_as_it_was():
    model = decoded_model()
    before = model.SerializeToString()
    attach_nms(model, SPEC)
    assert model.SerializeToString() == before
