"""Hard-swish and squeeze-and-excitation in 8 bits: no float between, and the values of the float network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.backends.ort_session import make_session
from ssd_edge.quantization.qdq_ort import Scheme, quantize
from tests.quantization.gated_model import HARD_SIGMOID, HARD_SWISH, SILU, WRITTEN_OUT, gated_model, measured, outputs


def fused(model: onnx.ModelProto, folder: Path) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "fused.onnx"), 4
    make_session(model.SerializeToString(), options)
    return [node.op_type for node in onnx.load(folder / "fused.onnx").graph.node]


@pytest.mark.parametrize("activation", [HARD_SWISH, WRITTEN_OUT])
def test_nothing_is_float_between_the_image_and_the_last_layer(tmp_path: Path, activation: str) -> None:
    model = gated_model(activation=activation)
    ops = fused(quantize(model, measured(model)), tmp_path)
    assert {"Conv", "Mul", "HardSigmoid", "HardSwish", "QuantizeLinear"}.isdisjoint(ops)
    assert ops.count("DequantizeLinear") == 1
    assert ops.count("QLinearMul") == 3
    assert ops.count("Clip") == 2  # the gate of squeeze-and-excitation is the bytes as they are


def test_a_sigmoid_that_gates_is_a_table_of_bytes(tmp_path: Path) -> None:
    model = gated_model(activation=SILU, gate="Sigmoid")
    ops = fused(quantize(model, measured(model)), tmp_path)
    assert ops.count("QLinearSigmoid") == 2
    assert {"Conv", "Mul", "Sigmoid", "QuantizeLinear"}.isdisjoint(ops)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("activation", [HARD_SWISH, SILU])
def test_the_values_are_those_of_the_float_network(scheme: Scheme, activation: str) -> None:
    model = gated_model(activation=activation)
    lowered = quantize(model, measured(model), scheme=scheme)
    (expected,), (found,) = outputs(model, ["answer"]), outputs(lowered, ["answer"])
    assert np.abs(found - expected).mean() < 0.06 * np.abs(expected).mean()


def test_the_gate_of_every_byte_is_the_hard_sigmoid_of_what_it_stands_for() -> None:
    model = gated_model()
    lowered = quantize(model, measured(model))
    deep, gate = outputs(lowered, ["deep.dequantised", "deep_out.gate.dequantised"])
    assert len(np.unique(deep)) > 100
    np.testing.assert_allclose(gate, np.clip(deep / 6 + 0.5, 0, 1), atol=1e-6)


def test_what_a_gate_shuts_out_takes_no_byte() -> None:
    """Below -3 hard-swish is 0: so no value of the 256 is spent there, and the others lie closer."""
    model = gated_model()
    table = measured(model)
    assert table.ranges["deep"].low < -4
    (deep,) = outputs(quantize(model, table), ["deep.dequantised"])
    assert deep.min() == pytest.approx(-3)


@pytest.mark.parametrize(
    "gate",
    [
        "HardSigmoid <alpha = 0.2, beta = 0.5>",
        "HardSigmoid <alpha = 1.0, beta = 0.25>",
        "HardSigmoid <alpha = 0.16666667, beta = 0.0>",  # nothing of its line lies below 0: left as it is
    ],
)
def test_other_lines_are_as_true(gate: str) -> None:
    model = gated_model(gate=gate)
    lowered = quantize(model, measured(model))
    (expected,), (found,) = outputs(model, ["answer"]), outputs(lowered, ["answer"])
    assert np.abs(found - expected).mean() < 0.06 * np.abs(expected).mean()


def test_a_layer_that_stays_float_keeps_its_hard_swish(tmp_path: Path) -> None:
    model = gated_model()
    lowered = quantize(model, measured(model), keep_float=frozenset({"deep"}))
    assert [node.name for node in lowered.graph.node if node.op_type == "HardSwish"] == ["deep_act"]
    assert "Conv" in fused(lowered, tmp_path)


def test_a_convolution_that_others_read_keeps_its_whole_range() -> None:
    model = gated_model(activation=f"{WRITTEN_OUT}\nelse_where = Neg (stem)")
    model.graph.output.append(onnx.helper.make_tensor_value_info("else_where", onnx.TensorProto.FLOAT, None))
    table = measured(model)
    (stem,) = outputs(quantize(model, table), ["stem.dequantised"])
    assert stem.min() < -4
    assert HARD_SIGMOID.split()[0] in {node.op_type for node in quantize(model, table).graph.node}
