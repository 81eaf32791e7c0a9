from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import ArtifactError
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.quantization.int8_count import quantised_convolutions
from tests.quantization.square_model import square_model, squares_missed, table_of


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {entry.name: entry.type.tensor_type.elem_type for entry in inferred.graph.value_info}


def test_network_is_half_and_the_rest_is_not(tmp_path) -> None:
    model = to_half(square_model())
    onnx.checker.check_model(model, full_check=True)
    types = types_of(model)
    assert types["normalised"] == TensorProto.FLOAT
    assert types["conv2.relu"] == types["logits.map"] == TensorProto.FLOAT16
    assert types["logits.rows"] == types["probabilities"] == types["corners"] == TensorProto.FLOAT
    onnx.save(model, tmp_path / "half.onnx")
    with open_detector(tmp_path / "half.onnx") as detector:
        assert squares_missed(detector) == 0


def test_int8_and_half_together(tmp_path) -> None:
    model = to_half(quantize(square_model(), table_of(tmp_path)))
    onnx.checker.check_model(model, full_check=True)
    assert quantised_convolutions(model) == 5
    scales = {
        entry.name: entry.data_type
        for entry in model.graph.initializer
        if entry.name.endswith((".scale", ".scale.half"))
    }
    assert TensorProto.FLOAT16 in scales.values()
    onnx.save(model, tmp_path / "mixed.onnx")
    with open_detector(tmp_path / "mixed.onnx") as detector:
        assert squares_missed(detector) == 0


def test_a_layer_that_is_kept_stays_float() -> None:
    model = to_half(square_model(), keep_float=frozenset({"conv2", "conv2.relu"}))
    types = types_of(model)
    assert types["conv2"] == types["conv2.relu"] == TensorProto.FLOAT
    assert types["conv3"] == TensorProto.FLOAT16


def test_weight_beyond_half_is_refused() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    for entry in model.graph.initializer:
        if entry.name == "conv2.weight":
            entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) * np.float32(1e6), entry.name))
    with pytest.raises(ArtifactError, match=r"conv2 are too large for FP16.*at most 65504.*--keep-float conv2"):
        to_half(model)


def test_sum_of_squares_stays_float() -> None:
    """A norm of 300 is the root of 90,000, which half precision does not have; its epsilon would vanish there."""
    weight = np.full((4, 3, 1, 1), 1, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "a"),
        helper.make_node("ReduceL2", ["a"], ["norm"], "norm", axes=[1], keepdims=1),
        helper.make_node("Max", ["norm", "epsilon"], ["safe"], "safe"),
        helper.make_node("Div", ["a", "safe"], ["unit"], "unit"),
        helper.make_node("Conv", ["unit", "v"], ["b"], "b"),
        helper.make_node("Neg", ["b"], ["y"], "negative"),  # stands for the decoding
    ]
    graph = helper.make_graph(
        nodes,
        "norm",
        [helper.make_tensor_value_info("x", 1, (1, 3, 2, 2))],
        [helper.make_tensor_value_info("y", 1, (1, 4, 2, 2))],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "v"),
            numpy_helper.from_array(np.float32(1e-12), "epsilon"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    types = types_of(to_half(model))
    assert types["a"] == TensorProto.FLOAT16
    assert types["norm"] == types["safe"] == types["unit"] == TensorProto.FLOAT
