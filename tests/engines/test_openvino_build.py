from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_detector
from ssd_edge.backends.openvino.compiled import compile_bytes
from ssd_edge.backends.openvino.layers import executed_precisions
from ssd_edge.backends.openvino.module import Settings
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import DeviceError
from ssd_edge.engines import openvino_build
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.openvino_build import OpenVinoBuilder, int8_convolutions, openvino_graph
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.lowering import Lowering
from tests.quantization.square_model import square_model, squares_missed, table_of, write_square_model

CONVOLUTIONS = ["conv1", "conv2", "conv3", "logits", "offsets"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CalibrationTable:
    return table_of(tmp_path_factory.mktemp("table"))


def built(folder: Path, precision: Precision, table: CalibrationTable) -> Path:
    source = read_onnx(write_square_model(folder / "squares.onnx"))
    lowered = Lowered(Lowering(precision, Target.OPENVINO)(source.model, table), precision)
    return build_lowered(source, lowered, OpenVinoBuilder(precision)).engine


def executed(engine: Path, precision: Precision) -> dict[str, str]:
    compiled = compile_bytes(engine.read_bytes(), Settings("CPU", precision, Threads(1, 1)), engine)
    found = executed_precisions(compiled)
    return {name: found[name] for name in CONVOLUTIONS}


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8, Precision.BF16, Precision.FP16])
def test_each_precision_is_what_openvino_computes_in(
    tmp_path: Path, precision: Precision, table: CalibrationTable
) -> None:
    try:
        OpenVinoBuilder(precision).check()
    except DeviceError as error:
        pytest.skip(str(error))
    engine = built(tmp_path, precision, table)
    assert engine.name == f"squares.{precision}.openvino.engine"
    with open_detector(engine) as detector:
        assert squares_missed(detector) == 0
    assert set(executed(engine, precision).values()) == {precision.value}


def test_a_layer_that_is_kept_is_computed_in_float(tmp_path: Path, table: CalibrationTable) -> None:
    source = read_onnx(write_square_model(tmp_path / "squares.onnx"))
    lower = Lowering(Precision.INT8, Target.OPENVINO, keep_float=frozenset({"conv2"}))
    lowered = Lowered(lower(source.model, table), Precision.INT8)
    engine = build_lowered(source, lowered, OpenVinoBuilder(Precision.INT8)).engine
    float_ones = [name for name, kind in executed(engine, Precision.INT8).items() if kind != "int8"]
    assert float_ones == ["conv2"]
    assert int8_convolutions(onnx.load(engine)) == [name for name in CONVOLUTIONS if name != "conv2"]


def test_int8_layers_that_openvino_computes_in_float_are_told(
    tmp_path: Path, table: CalibrationTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_build, "executed_precisions", lambda _: {"conv1": "int8", "conv3": "fp32"})
    with caplog.at_level(logging.WARNING, logger="ssd_edge"):
        built(tmp_path, Precision.INT8, table)
    assert "OpenVINO does not compute 1 of 5 INT8 layers in INT8: conv3" in caplog.text


def test_a_processor_without_the_float_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = OpenVinoBuilder(Precision.INT8)
    builder.check()
    monkeypatch.setattr("ssd_edge.backends.openvino.module._CAPABILITY", {"bf16": "a capability that no processor has"})
    with pytest.raises(DeviceError, match="the CPU of this machine does not compute in bf16"):
        OpenVinoBuilder(Precision.BF16).check()


def test_the_graph_takes_one_image_and_has_no_functions() -> None:
    given = square_model()
    before = given.SerializeToString()
    graph = openvino_graph(given)
    assert given.SerializeToString() == before
    onnx.checker.check_model(graph, full_check=True)
    tensors = [*graph.graph.input, *graph.graph.output]
    assert {tensor.type.tensor_type.shape.dim[0].dim_value for tensor in tensors} == {1}
    assert not graph.functions
    assert {"NonMaxSuppression", "NonZero"} <= {node.op_type for node in graph.graph.node}
    assert not {"Loop", "BatchedNMSDynamic_TRT"} & {node.op_type for node in graph.graph.node}


def test_activations_that_are_never_negative_are_unsigned(table: CalibrationTable) -> None:
    model = Lowering(Precision.INT8, Target.OPENVINO)(square_model(), table)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    stored = {node.input[0]: constants[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert stored
    for name, zero in stored.items():
        assert zero.dtype == (np.uint8 if table.ranges[name].low >= 0 else np.int8), name
        assert zero == 0
    unsigned = next(name for name, zero in stored.items() if zero.dtype == np.uint8)
    assert constants[f"{unsigned}.scale"] == pytest.approx(table.ranges[unsigned].amax / 255, rel=1e-6)


@pytest.mark.parametrize(
    ("device", "saturates"),
    [("x86_64+avx2", True), ("x86_64+avx2+avx512_vnni", False), ("aarch64+asimd+asimddp", False)],
)
def test_pairs_of_weights_are_bounded_where_sums_would_saturate(
    table: CalibrationTable, monkeypatch: pytest.MonkeyPatch, device: str, saturates: bool
) -> None:
    monkeypatch.setattr("ssd_edge.quantization.lowering.cpu_device", lambda: device)
    model = Lowering(Precision.INT8, Target.OPENVINO)(square_model(), table)
    weights = [onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer if ".weight.stored" in entry.name]
    largest = max(
        2 * int(np.abs(weight.astype(int)).max()) if weight.shape[1] == 1 else pair(weight) for weight in weights
    )
    assert len(weights) == 5
    assert (255 * largest < 2**15) is saturates


def pair(weight: np.ndarray) -> int:
    """Return the largest sum of two weights of one sign that a kernel may add, whatever its order."""
    of_one_sign = [np.maximum(part, 0).astype(int) for part in (weight.astype(int), -weight.astype(int))]
    if weight.shape[1] % 2:
        return max(int(np.sort(part.reshape(len(part), -1), axis=1)[:, -2:].sum(axis=1).max()) for part in of_one_sign)
    return max(int((part[:, 0::2] + part[:, 1::2]).max()) for part in of_one_sign)


def test_tensors_that_are_joined_share_their_sign(table: CalibrationTable) -> None:
    """Of a concatenation one part is negative at times: all of it is signed, and of one scale."""
    model = joined_model()
    ranges = {"left": (0.0, 6.0), "right": (-1.0, 3.0), "both": (-1.0, 6.0)}
    made = dataclasses.replace(
        table,
        ranges={
            name: dataclasses.replace(next(iter(table.ranges.values())), low=low, high=high)
            for name, (low, high) in ranges.items()
        },
    )
    lowered = Lowering(Precision.INT8, Target.OPENVINO)(model, made)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in lowered.graph.initializer}
    zeros = {name: constants[f"{name}.zero"].dtype for name in ("left", "both")}
    assert zeros == {"left": np.int8, "both": np.int8}
    assert constants["left.scale"] == constants["both.scale"] == np.float32(6 / 127)


def joined_model() -> onnx.ModelProto:
    """Of two parts one is read by a convolution too, and by another what joins them."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    joined (float[1, 2, 4, 4] left_in, float[1, 2, 4, 4] right) => (float[1, 1, 4, 4] one, float[1, 1, 4, 4] two)
    {
        left = Relu (left_in)
        both = Concat <axis = 1> (left, right)
        [first] one = Conv (left, narrow)
        [second] two = Conv (both, wide)
    }
    """
    model = onnx.parser.parse_model(text)
    for name, width in (("narrow", 2), ("wide", 4)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, width, 1, 1), np.float32), name))
    return model
