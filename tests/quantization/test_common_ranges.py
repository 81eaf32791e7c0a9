from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ssd_edge.core.calibration_table import TensorRange
from ssd_edge.quantization.trt_cache import with_common_ranges, write_cache
from tests.quantization.fake_table import table_for
from tests.quantization.test_text_cache import read_cache

AMAX = {"a": 1.0, "pooled": 0.75, "b": 2.0, "joined": 2.5, "c": 4.0, "d": 8.0, "total.relu": 3.0, "y": 7.0}
LOW = {"b": -2.0}


def joining_model() -> onnx.ModelProto:
    """x -> a -> (pool, b) -> concat -> c -> (d, +) -> relu -> y; then something behind the network."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "a", pads=(1, 1, 1, 1)),
        helper.make_node("MaxPool", ["a"], ["pooled"], "pool", kernel_shape=(2, 2), strides=(2, 2)),
        helper.make_node("Conv", ["a", "w"], ["b"], "b", pads=(1, 1, 1, 1), strides=(2, 2)),
        helper.make_node("Concat", ["pooled", "b"], ["joined"], "join", axis=1),
        helper.make_node("Conv", ["joined", "wide"], ["c"], "c", pads=(1, 1, 1, 1)),
        helper.make_node("Conv", ["c", "w"], ["d"], "d", pads=(1, 1, 1, 1)),
        helper.make_node("Add", ["c", "d"], ["total"], "total"),
        helper.make_node("Relu", ["total"], ["total.relu"], "total.relu"),
        helper.make_node("Conv", ["total.relu", "w"], ["y"], "y", pads=(1, 1, 1, 1)),
        helper.make_node("Add", ["y", "c"], ["decoded"], "decode"),
    ]
    weight = np.ones((2, 2, 3, 3), np.float32)
    graph = helper.make_graph(
        nodes,
        "joining",
        [helper.make_tensor_value_info("x", 1, (1, 2, 8, 8))],
        [helper.make_tensor_value_info("decoded", 1, (1, 2, 4, 4))],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.ones((2, 4, 3, 3), np.float32), "wide")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def ranges() -> dict[str, TensorRange]:
    return {name: TensorRange(LOW.get(name, 0.0), amax) for name, amax in AMAX.items()}


def test_a_pool_and_a_concatenation_take_and_give_one_scale_in_the_cache() -> None:
    model = joining_model()
    table = replace(table_for(model), ranges=ranges())
    _, scales = read_cache(write_cache(table, model, version="10.3.0"))
    wanted = dict.fromkeys(("a", "pooled", "b", "joined"), 2.5) | dict.fromkeys(("c", "d", "total", "total.relu"), 8.0)
    assert {name: scale * 127 for name, scale in scales.items()} == pytest.approx({**wanted, "y": 7.0})


def test_the_common_range_is_the_widest_and_the_rest_stays() -> None:
    made = with_common_ranges(replace(table_for(joining_model()), ranges=ranges()), joining_model()).ranges
    assert made["a"] == made["joined"] == TensorRange(-2.0, 2.5)
    assert made["y"] == TensorRange(0.0, 7.0)
    assert "decoded" not in made  # behind the last convolution


def test_what_adds_a_constant_joins_nothing() -> None:
    model = joining_model()
    model.graph.node[6].input[1] = "three"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(3), "three"))
    made = with_common_ranges(replace(table_for(model), ranges=ranges()), model).ranges
    assert made["c"] == TensorRange(0.0, 4.0)
    assert made["total.relu"] == TensorRange(0.0, 3.0)
