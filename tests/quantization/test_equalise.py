from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from ssd_edge.core.calibration_table import CalibrationTable, Histogram, TensorRange
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.graph.editor import Graph
from ssd_edge.quantization.equalization import equalize
from ssd_edge.quantization.output_error import OutputError
from ssd_edge.quantization.qdq_ort import quantize
from tests.quantization.square_model import observed_table, rescaled, square_model

HIGHEST = 6.0


def chain(*between: str, depthwise: bool = False, branch: bool = False) -> onnx.ModelProto:
    """x -> first -> ... -> second -> y, the channels of ``first`` of very different sizes."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 3, 3, 3)) * np.array([0.01, 1, 10, 100]).reshape(4, 1, 1, 1)
    second = rng.normal(size=(4, 1, 3, 3) if depthwise else (5, 4, 3, 3))
    constants = {"w1": first, "b1": rng.normal(size=4), "w2": second, "low": np.array(0), "high": np.array(HIGHEST)}
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["t0"], "first")]
    for number, op in enumerate(between):
        inputs = [f"t{number}", "low", "high"] if op == "Clip" else [f"t{number}"]
        extra = {"kernel_shape": (2, 2)} if op == "MaxPool" else {}
        nodes.append(helper.make_node(op, inputs, [f"t{number + 1}"], f"{op}{number}", **extra))
    last = f"t{len(between)}"
    nodes.append(helper.make_node("Conv", [last, "w2"], ["y"], "second", group=4 if depthwise else 1))
    outputs = [helper.make_tensor_value_info("y", 1, None)]
    if branch:
        nodes.append(helper.make_node("Neg", [last], ["z"], "other reader"))
        outputs.append(helper.make_tensor_value_info("z", 1, None))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", 1, (1, 3, 12, 12))],
        outputs,
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model: onnx.ModelProto) -> list[np.ndarray]:
    x = np.random.default_rng(1).normal(size=(1, 3, 12, 12)).astype(np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})


def channel_ranges(model: onnx.ModelProto, *, depthwise: bool = False) -> tuple[np.ndarray, np.ndarray]:
    graph = Graph(model)
    first, second = (graph.constants[node.input[1]] for node in graph.weighted("Conv"))
    second = second if depthwise else second.swapaxes(0, 1)
    return np.abs(first).reshape(4, -1).max(axis=1), np.abs(second).reshape(4, -1).max(axis=1)


@pytest.mark.parametrize("between", [("Relu",), (), ("Relu", "MaxPool")], ids=["relu", "nothing", "relu and pool"])
@pytest.mark.parametrize("depthwise", [False, True])
def test_neighbours_share_their_ranges_and_the_answer_stays(between, depthwise) -> None:
    model = chain(*between, depthwise=depthwise)
    made = equalize(model).model
    for wanted, found in zip(answers(model), answers(made), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
    ours, theirs = channel_ranges(made, depthwise=depthwise)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    before = channel_ranges(model)[0]
    assert before.max() / before.min() > 1000
    assert ours.max() / ours.min() < 150  # the root of it, times the spread of the second's


@pytest.mark.parametrize(
    "model", [chain("Relu", branch=True), chain("Sigmoid"), chain("Clip")], ids=["branch", "sigmoid", "clip"]
)
def test_leaves_alone_what_would_answer_otherwise(model) -> None:
    made = equalize(model)
    assert made.scales == {}
    for wanted, found in zip(answers(model), answers(made.model), strict=True):
        np.testing.assert_array_equal(found, wanted)


def table_with(high: float) -> CalibrationTable:
    return CalibrationTable("m", "", "", ("",) * 2, "minmax", {"t1": TensorRange(0, high)})


def test_a_clip_that_no_value_reaches_becomes_a_relu() -> None:
    made = equalize(chain("Clip"), table_with(HIGHEST / 2)).model
    assert [node.op_type for node in made.graph.node] == ["Conv", "Relu", "Conv"]
    assert equalize(chain("Clip"), table_with(HIGHEST)).scales == {}


def test_a_clip_is_reached_by_what_the_range_cuts_off() -> None:
    """Entropy's range of a ReLU6 may end at 2 while some values are 6: as a ReLU it would answer otherwise."""
    reached = TensorRange(0, 2, Histogram(0, HIGHEST, (9_000, 10, 1)))
    table = CalibrationTable("m", "", "", ("",) * 2, "entropy", {"t1": reached})
    assert equalize(chain("Clip"), table).scales == {}
    within = TensorRange(0, 2, Histogram(0, HIGHEST / 2, (9_000, 10, 1)))
    assert equalize(chain("Clip"), CalibrationTable("m", "", "", ("",) * 2, "entropy", {"t1": within})).scales


def test_hostile_network_is_mended(tmp_path) -> None:
    """A channel 2,000 times as large as the others leaves those no bits; equalized, INT8 errs as on the tame one."""
    tame, hostile = square_model(), rescaled(square_model(), 2000)
    measure = OutputError(hostile, [frame.image for frame in sample_frames(3, 5)])

    def error(model: onnx.ModelProto, name: str) -> float:
        return measure(quantize(model, observed_table(tmp_path / name, model)))

    plain, mended, wanted = error(hostile, "a"), error(equalize(hostile).model, "b"), error(tame, "c")
    assert plain > 5 * wanted
    assert mended < 1.5 * wanted


@pytest.mark.parametrize(
    ("low", "high", "limits"), [(1.0, HIGHEST, 3), (-1.0, HIGHEST, 3), (0.0, None, 2), (None, HIGHEST, 3)]
)
def test_a_clip_that_is_no_relu_with_an_upper_limit_stays(low: float | None, high: float | None, limits: int) -> None:
    model = chain("Clip")
    clip = model.graph.node[1]
    for position, value in ((1, low), (2, high)):
        if value is None:
            clip.input[position] = ""
        else:
            entry = next(entry for entry in model.graph.initializer if entry.name == clip.input[position])
            entry.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), entry.name))
    del clip.input[limits:]
    made = equalize(model, table_with(HIGHEST / 2))
    assert made.scales == {}
    for wanted, found in zip(answers(model), answers(made.model), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_clip_whose_range_was_not_measured_stays() -> None:
    table = CalibrationTable("m", "", "", ("",) * 2, "minmax", {"other": TensorRange(0, 1)})
    assert equalize(chain("Clip"), table).scales == {}
