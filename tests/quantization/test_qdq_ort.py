from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.backends.ort_session import make_session
from ssd_edge.core.errors import ArtifactError
from ssd_edge.quantization.qdq_ort import Affine, Scheme, quantize, scheme_for
from tests.quantization.gated_model import gated_model, measured, outputs
from tests.quantization.square_model import square_model, squares_missed, table_of


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(tmp_path_factory.mktemp("table"))


def optimised(model: onnx.ModelProto, path) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    make_session(model.SerializeToString(), options)
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("scheme", Scheme)
def test_finds_the_squares_as_float_does(tmp_path, table, scheme) -> None:
    onnx.save(quantize(square_model(), table, scheme=scheme), tmp_path / "int8.onnx")
    with open_detector(tmp_path / "int8.onnx") as detector:
        assert squares_missed(detector) == 0


def test_every_convolution_becomes_an_integer_kernel(tmp_path, table) -> None:
    ops = optimised(quantize(square_model(), table), tmp_path / "optimised.onnx")
    assert ops.count("QLinearConv") == 5
    assert "Conv" not in ops


def test_a_layer_that_is_kept_stays_float(tmp_path, table) -> None:
    ops = optimised(quantize(square_model(), table, keep_float=frozenset({"conv2"})), tmp_path / "optimised.onnx")
    assert ops.count("QLinearConv") == 4


def test_a_table_without_a_tensor_is_named(table) -> None:
    poorer = type(table)(**{**vars(table), "ranges": {}})
    with pytest.raises(ArtifactError, match="has no range for conv1.relu: got 0 others"):
        quantize(square_model(), poorer)


@pytest.mark.parametrize(
    ("device", "scheme"),
    [
        ("x86_64+avx2+avx512f+avx512_vnni", Scheme.U8S8),
        ("x86_64+avx2+avx_vnni", Scheme.U8S8),
        ("x86_64+avx2+avx512f", Scheme.U8S8_PAIRED),
        ("amd64", Scheme.U8S8_PAIRED),
        ("aarch64+asimd+asimddp", Scheme.S8S8),
    ],
)
def test_scheme_follows_the_processor(device, scheme) -> None:
    assert scheme_for(device) is scheme


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-3, 5), (2, 9), (-8, -1), (0, 0), (0, 1e-45)])
@pytest.mark.parametrize("signed", [True, False])
def test_zero_is_exact_and_the_range_is_covered(low, high, signed) -> None:
    affine = Affine.covering(low, high, signed=signed)
    first = -128 if signed else 0
    zero = int(affine.zero_point)
    assert first <= zero <= first + 255
    reach = ((first - zero) * affine.scale, (first + 255 - zero) * affine.scale)
    assert reach[0] <= min(low, 0) + affine.scale / 2
    assert reach[1] >= max(high, 0) - affine.scale / 2


def test_a_bias_beyond_32_bits_coarsens_the_weights() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    for entry in model.graph.initializer:
        if entry.name == "logits.weight":
            entry.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(entry) * 1e-9, entry.name))
    from tests.quantization.fake_table import table_for

    lowered = quantize(model, table_for(model))
    bias = next(entry for entry in lowered.graph.initializer if entry.name == "logits.bias.stored")
    assert abs(onnx.numpy_helper.to_array(bias).astype(float)).max() <= 2**30 + 1


def test_a_pool_of_maxima_stays_in_eight_bits_with_the_range_of_what_it_reads() -> None:
    pooled = (
        "[act] active = HardSwish (stem)\n[most] wide = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (active)"
    )
    model = gated_model(16, activation=pooled)
    lowered = quantize(model, measured(model))
    pool = next(node for node in lowered.graph.node if node.op_type == "MaxPool")
    readers = [node for node in lowered.graph.node if pool.output[0] in node.input]
    makers = [node for node in lowered.graph.node if pool.input[0] in node.output]
    assert [node.op_type for node in (*makers, *readers)] == ["DequantizeLinear", "QuantizeLinear"]
    values = {entry.name: onnx.numpy_helper.to_array(entry) for entry in lowered.graph.initializer}
    for one, other in zip(makers[0].input[1:], readers[0].input[1:], strict=True):
        assert values[one] == values[other]
    (wanted,), (found,) = outputs(model, ["answer"]), outputs(lowered, ["answer"])
    assert np.abs(found - wanted).max() < 0.1 * np.ptp(wanted)
