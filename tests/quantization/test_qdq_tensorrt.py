from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.calibration_table import TensorRange
from ssd_edge.quantization.qdq_ort import quantize as quantise_for_ort
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.quantization.fake_table import table_for
from tests.quantization.int8_count import quantised_convolutions
from tests.quantization.square_model import square_model, squares_missed, table_of


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(tmp_path_factory.mktemp("table"))


@pytest.mark.parametrize("stored", [True, False])
def test_finds_the_squares_on_onnx_runtime(tmp_path, table, stored) -> None:
    model = quantize(square_model(), table, stored_weights=stored)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "int8.onnx")
    assert quantised_convolutions(model) == 5
    with open_detector(tmp_path / "int8.onnx") as detector:
        assert squares_missed(detector) == 0


def test_is_symmetric_signed_and_leaves_biases_alone(table) -> None:
    model = quantize(square_model(), table)
    constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        assert constants[node.input[2]].dtype == np.int8
        assert not constants[node.input[2]].any()
        assert (constants[node.input[1]] > 0).all()
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) > 2:
            assert constants[node.input[2]].dtype == np.float32


def test_scale_is_a_127th_of_the_largest_magnitude(table) -> None:
    model = quantize(square_model(), table)
    scale = next(numpy_helper.to_array(entry) for entry in model.graph.initializer if entry.name == "conv1.relu.scale")
    assert scale == pytest.approx(table.ranges["conv1.relu"].amax / 127, rel=1e-6)


def test_nothing_is_quantised_behind_the_heads(table) -> None:
    model = quantize(square_model(), table)
    readers = {name: node.op_type for node in model.graph.node for name in node.input}
    assert readers["logits.map"] == readers["offsets.map"] == "Transpose"


def test_a_layer_that_is_kept_stays_float(table) -> None:
    assert quantised_convolutions(quantize(square_model(), table, keep_float=frozenset({"conv2"}))) == 4


def residual_model(*, concatenated: bool = False) -> onnx.ModelProto:
    """x -> a -> (b, +) -> c, or the two joined instead of added."""
    joint = (
        helper.make_node("Concat", ["a", "b"], ["sum"], "sum", axis=1)
        if concatenated
        else helper.make_node("Add", ["a", "b"], ["sum"], "sum")
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "a", pads=(1, 1, 1, 1)),
        helper.make_node("Conv", ["a", "w"], ["b"], "b", pads=(1, 1, 1, 1)),
        joint,
        helper.make_node("Conv", ["sum", "wide" if concatenated else "w"], ["y"], "c", pads=(1, 1, 1, 1)),
    ]
    weight = np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype(np.float32)
    wide = np.concatenate([weight, weight], axis=1)
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("x", 1, (1, 2, 8, 8))],
        [helper.make_tensor_value_info("y", 1, (1, 2, 8, 8))],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(wide, "wide")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_only_the_skip_branch_of_a_sum_is_quantised() -> None:
    model = residual_model()
    lowered = quantize(model, table_for(model))
    total = next(node for node in lowered.graph.node if node.name == "sum")
    assert list(total.input) == ["a.dequantised", "b"]  # b comes straight from the convolution that the sum joins


def test_what_is_joined_shares_one_scale() -> None:
    model = residual_model(concatenated=True)
    table = table_for(model)
    ranges = {**table.ranges, "a": type(table.ranges["a"])(-1, 1), "sum": type(table.ranges["a"])(-9, 3)}
    lowered = quantize(model, type(table)(**{**vars(table), "ranges": ranges}))
    scales = {entry.name: numpy_helper.to_array(entry) for entry in lowered.graph.initializer}
    assert scales["a.scale"] == scales["sum.scale"] == pytest.approx(9 / 127)


@pytest.mark.parametrize("size", [0, 1e-44, 1e-39])
@pytest.mark.parametrize("lower", [quantize, quantise_for_ort])
def test_a_channel_as_good_as_zero_has_a_scale(lower, size) -> None:
    """A 127th of it is no float32; training with weight decay leaves such channels."""
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    for entry in model.graph.initializer:
        if entry.name == "conv2.weight":
            value = numpy_helper.to_array(entry).copy()
            value[0] = size
            entry.CopyFrom(numpy_helper.from_array(value, entry.name))
    constants = {entry.name: numpy_helper.to_array(entry) for entry in lower(model, table_for(model)).graph.initializer}
    (scale,) = (value for name, value in constants.items() if name == "conv2.weight.scale")
    assert (scale >= np.finfo(np.float32).tiny).all()
    assert not constants["conv2.weight.stored"][0].any()


def test_a_tensor_as_good_as_zero_has_a_scale() -> None:
    model = square_model()
    table = table_for(model)
    dead = {name: TensorRange(0, 1e-45) for name in table.ranges}
    lowered = quantize(model, type(table)(**{**vars(table), "ranges": dead}))
    scales = [numpy_helper.to_array(entry) for entry in lowered.graph.initializer if entry.name.endswith(".scale")]
    assert all((scale > 0).all() for scale in scales)
