"""The first convolution reads bytes: it must give what it gave for normalized floats."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.graph.editor import Graph, make_node
from ssd_edge.quantization.pixel_input import PIXELS, fold_pixels

GREY, COLOURED, WHOLE = (127.0, 127.0, 127.0), (123.7, 116.3, 103.5), (123.0, 117.0, 104.0)


def first_layer(mean: tuple[float, ...], pads: int = 1, *, bias: bool = True, order=(2, 1, 0)) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    constants = {
        "order": np.array(order, np.int64),
        "mean": np.array(mean, np.float32).reshape(1, 3, 1, 1),
        "deviation": np.array((58.4, 57.1, 57.4), np.float32).reshape(1, 3, 1, 1),
        "weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "bias": rng.normal(size=4).astype(np.float32),
    }
    nodes = [
        make_node("Cast", ["images"], "float", to=TensorProto.FLOAT),
        make_node("Transpose", ["float"], "planes", perm=[0, 3, 1, 2]),
        make_node("Gather", ["planes", "order"], "colours", axis=1),
        make_node("Sub", ["colours", "mean"], "centred"),
        make_node("Div", ["centred", "deviation"], "normalised"),
        make_node("Conv", ["normalised", "weight", *(["bias"] if bias else [])], "y", pads=[pads] * 4, strides=[2, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "first layer",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, (1, 12, 14, 3))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 12, 14, 3), dtype=np.uint8)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": pixels})[0]


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its bytes turned into floats right before the convolution: pixel - zero point."""
    graph = Graph(model)
    zero = fold_pixels(graph, frozenset())
    assert zero is not None
    stored = [PIXELS, graph.constant("one", np.float32(1)), graph.constant("zero", np.array(zero, np.uint8))]
    back = make_node("DequantizeLinear", stored, "centred")
    graph.redirect(PIXELS, "centred")
    graph.add(back)
    return graph.finished()


@pytest.mark.parametrize(
    "model",
    [
        first_layer(GREY),
        first_layer(GREY, bias=False),
        first_layer(COLOURED, pads=0),
        first_layer(COLOURED, pads=0, order=(1, 2, 0)),
        first_layer(WHOLE, pads=2, order=(1, 2, 0)),
    ],
    ids=["grey", "without bias", "coloured without padding", "another order", "a coloured border"],
)
def test_gives_what_normalised_floats_gave(model) -> None:
    made = folded(model)
    assert {"Cast", "Gather", "Sub", "Div"}.isdisjoint(node.op_type for node in made.graph.node)
    np.testing.assert_allclose(answer(made), answer(model), atol=2e-5)


@pytest.mark.parametrize("mean", [(127.5,) * 3, COLOURED])
def test_half_a_grey_level_shows_at_the_edge_only(mean) -> None:
    model = first_layer(mean)
    difference = np.abs(answer(folded(model)) - answer(model))
    assert difference[:, :, 1:-1, 1:-1].max() < 2e-5
    assert difference.max() < 0.2


@pytest.mark.parametrize("reason", ["a rule pads", "kept"])
def test_leaves_alone_what_it_cannot_fold(reason) -> None:
    model = first_layer(COLOURED if reason == "a rule pads" else GREY)
    if reason == "a rule pads":
        pads = next(entry for entry in model.graph.node[-1].attribute if entry.name == "pads")
        pads.CopyFrom(helper.make_attribute("auto_pad", "SAME_UPPER"))
    kept = frozenset({"y"} if reason == "kept" else ())
    graph = Graph(model)
    assert fold_pixels(graph, kept) is None
    assert graph.finished().graph.node == model.graph.node


def test_leaves_another_beginning_alone() -> None:
    model = first_layer(GREY)
    model.graph.node[3].op_type = "Add"
    assert fold_pixels(Graph(model), frozenset()) is None


@pytest.mark.parametrize("tensor", ["images", "planes", "normalised"])
def test_leaves_alone_what_something_else_reads_too(tensor: str) -> None:
    model = first_layer(GREY)
    model.graph.node.append(make_node("Identity", [tensor], "seen"))
    model.graph.output.append(helper.make_tensor_value_info("seen", TensorProto.UNDEFINED, None))
    graph = Graph(model)
    assert fold_pixels(graph, frozenset()) is None
    assert graph.finished().graph.node == model.graph.node
