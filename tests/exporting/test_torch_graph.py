from __future__ import annotations

from collections import Counter

import onnx
import pytest
from torch import nn

from ssd_edge.exporting.export_onnx import decoded_graph


@pytest.fixture(scope="module")
def model(tiny_model):
    return decoded_graph(tiny_model)


def shape(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_inputs_and_outputs_are_fixed_but_for_the_batch(model):
    (images,) = model.graph.input
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert shape(images) == ["batch", 64, 64, 3]
    assert {value.name: shape(value) for value in model.graph.output} == {
        "boxes": ["batch", 336, 1, 4],
        "scores": ["batch", 336, 3],
    }


def test_opset_is_one_that_tensorrt_8_5_reads(model):
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_one_cast_one_softmax_and_no_computing_of_shapes(model, tiny_model):
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Cast"] == kinds["Gather"] == kinds["Softmax"] == kinds["Exp"] == 1
    assert kinds["Conv"] == sum(isinstance(layer, nn.Conv2d) for layer in tiny_model.modules())
    assert {"Shape", "Expand", "If", "Identity", "ConstantOfShape", "BatchNormalization"}.isdisjoint(kinds)


def test_weights_keep_their_names(model):
    names = {tensor.name for tensor in model.graph.initializer}
    assert "model.head.regression_head.module_list.0.weight" in names
