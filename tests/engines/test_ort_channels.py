"""Depthwise layers of an INT8 engine are filled up to whole kernels; what comes out is the same to the bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ssd_edge.engines.ort_channels import fill_channels
from ssd_edge.quantization.qdq_ort import Scheme, quantize
from tests.quantization.gated_model import SILU, gated_model, measured, outputs


def depthwise_widths(model: onnx.ModelProto) -> list[int]:
    groups = [entry.i for node in model.graph.node for entry in node.attribute if entry.name == "group"]
    return [group for group in groups if group > 1]


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {
        entry.name: numpy_helper.to_array(entry)
        for entry in model.graph.initializer
        if entry.name.endswith(".weight.stored")
    }


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("width", [9, 20, 24])
def test_the_values_stay_the_same_to_the_bit(width: int, scheme: Scheme) -> None:
    model = gated_model(width)
    lowered = quantize(model, measured(model), scheme=scheme)
    filled = fill_channels(lowered, 16)
    assert depthwise_widths(filled) == [16 if width == 9 else 32]
    (expected,), (found,) = outputs(lowered, ["answer"]), outputs(filled, ["answer"])
    assert len(np.unique(expected)) > 25
    np.testing.assert_array_equal(found, expected)


def test_what_is_added_is_zero_and_all_layers_of_the_block_take_part() -> None:
    model = gated_model(20)
    lowered = quantize(model, measured(model))
    before, after = weights(lowered), weights(fill_channels(lowered, 16))
    assert {name: value.shape[:2] for name, value in after.items()} == {
        "first.weight.stored": (32, 3),
        "deep.weight.stored": (32, 1),
        "squeeze.weight.stored": (8, 32),
        "excite.weight.stored": (32, 8),
        "last.weight.stored": (8, 32),
    }
    for name, value in after.items():
        rows, columns = before[name].shape[:2]
        np.testing.assert_array_equal(value[:rows, :columns], before[name])
        assert not value[rows:].any()
        assert not value[:, columns:].any()


@pytest.mark.parametrize("multiple", [1, 8, 16])
def test_a_whole_number_of_kernels_is_left_alone(multiple: int) -> None:
    model = gated_model(32)
    lowered = quantize(model, measured(model))
    assert fill_channels(lowered, multiple) is lowered


def test_float_layers_are_left_alone() -> None:
    model = gated_model(20)
    assert fill_channels(model, 16) is model
    kept = quantize(model, measured(model), keep_float=frozenset({"deep"}))
    assert fill_channels(kept, 16) is kept


@pytest.mark.parametrize(
    "joined",
    [
        "first_half, second_half = Split <axis = 1> (stem)\nwide = Concat <axis = 1> (second_half, first_half)",
        "by_pixel = Transpose <perm = [0, 2, 3, 1]> (stem)\nrows = Softmax <axis = 3> (by_pixel)\n"
        "wide = Transpose <perm = [0, 3, 1, 2]> (rows)",
        f"row = Constant <value = float[1, 20, 1, 1] {{{', '.join(['0.5'] * 20)}}}> ()\nwide = Add (stem, row)",
    ],
)
def test_where_channels_are_joined_or_moved_nothing_is_filled(joined: str) -> None:
    model = gated_model(20, activation=joined)
    lowered = quantize(model, measured(model))
    assert depthwise_widths(fill_channels(lowered, 16)) == [20]


def test_a_tensor_that_is_put_out_keeps_its_channels() -> None:
    model = gated_model(20)
    lowered = quantize(model, measured(model))
    lowered.graph.output.append(onnx.helper.make_tensor_value_info("wide.dequantised", onnx.TensorProto.FLOAT, None))
    assert depthwise_widths(fill_channels(lowered, 16)) == [20]


def test_other_activations_are_filled_too() -> None:
    model = gated_model(20, activation=SILU, gate="Sigmoid")
    lowered = quantize(model, measured(model))
    (expected,), (found,) = outputs(lowered, ["answer"]), outputs(fill_channels(lowered, 16), ["answer"])
    np.testing.assert_array_equal(found, expected)


def test_convolutions_of_some_groups_are_not_filled() -> None:
    weights = ", ".join(str(0.1 * number) for number in range(20 * 10))
    grouped = (
        f"parts = Constant <value = float[20, 10, 1, 1] {{{weights}}}> ()\n"
        "half = Relu (stem)\n[parted] wide = Conv <group = 2> (half, parts)"
    )
    model = gated_model(20, activation=grouped)
    lowered = quantize(model, measured(model))
    assert depthwise_widths(fill_channels(lowered, 16)) == [2, 20]
