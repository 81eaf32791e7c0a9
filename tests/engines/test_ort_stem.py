from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.backends.cpu import cpu_device, has_vnni
from ssd_edge.backends.detector import open_detector
from ssd_edge.engines import ort_build
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.engines.ort_stem import read_columns_together
from ssd_edge.graph.border import border
from ssd_edge.graph.editor import replace_all
from ssd_edge.quantization.qdq_ort import Scheme, quantize
from tests.quantization.square_model import square_model, table_of, write_pictures

OUTPUTS = 6
LARGEST = 127 if has_vnni(cpu_device()) else 63
"""Without VNNI two products are added in 16 bits, where large ones saturate; which two, the grouping changes."""


def stem(
    width: int = 20,
    kernel: tuple[int, int] = (3, 3),
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    *,
    scales: int = OUTPUTS,
    zero: int = 0,
    strides: tuple[int, int] = (2, 2),
    channels_last: int = 1,
) -> onnx.ModelProto:
    """(B, 16, W, 3) uint8 -> one convolution in integers, as ONNX Runtime writes it."""
    random = np.random.default_rng(width + sum(pads))
    constants = {
        "picture.scale": np.array(1 / 64, np.float32),
        "picture.zero": np.array(117, np.uint8),
        "weight": random.integers(-LARGEST, LARGEST + 1, (OUTPUTS, 3, *kernel)).astype(np.int8),
        "weight.scale": (random.random(scales) / 100).astype(np.float32),
        "weight.zero": np.full(scales, zero, np.int8),
        "output.scale": np.array(0.1, np.float32),
        "output.zero": np.array(100, np.uint8),
        "bias": random.integers(-5000, 5000, OUTPUTS).astype(np.int32),
    }
    first = ["images", "picture.scale", "picture.zero", "weight", "weight.scale", "weight.zero"]
    node = helper.make_node(
        "QLinearConv", [*first, "output.scale", "output.zero", "bias"], ["made"], "stem", domain="com.microsoft",
        channels_last=channels_last, kernel_shape=kernel, strides=strides, pads=pads,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, width, 3])],
        [helper.make_tensor_value_info("made", TensorProto.UINT8, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def output(model: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"images": pictures})[0])


@pytest.mark.parametrize(
    ("width", "kernel", "pads", "stride"),
    [
        (20, (3, 3), (1, 1, 1, 1), 2),  # PyTorch's MobileNets
        (20, (3, 3), (0, 0, 1, 1), 2),  # TensorFlow's, as "SAME" pads them
        (24, (7, 7), (3, 3, 3, 3), 2),  # ResNet
        (16, (4, 4), (1, 1, 1, 1), 2),
        (12, (5, 2), (2, 0, 2, 0), 2),
        (28, (1, 11), (0, 5, 0, 5), 2),
        (20, (3, 3), (1, 1, 1, 1), 1),  # VGG
        (12, (5, 6), (2, 3, 2, 2), 1),
        (12, (1, 1), (0, 0, 0, 0), 1),
    ],
)
@pytest.mark.parametrize("scales", [1, OUTPUTS])
def test_the_bytes_stay_the_same(width: int, kernel, pads, stride: int, scales: int) -> None:
    plain, grouped = (stem(width, kernel, pads, scales=scales, strides=(stride, stride)) for _ in range(2))
    assert read_columns_together(grouped)
    assert [node.op_type for node in grouped.graph.node] == ["Reshape", "QLinearConv", "Reshape"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, width, 3)).astype(np.uint8)
    expected = output(plain, pictures)
    assert len(np.unique(expected)) > 15  # without VNNI some sums saturate
    np.testing.assert_array_equal(output(grouped, pictures), expected)


def bordered(model: onnx.ModelProto, pads: tuple[int, int, int, int]) -> onnx.ModelProto:
    """The convolution of a picture with a border of some colour, as INT8 has it where the means differ."""
    shape = model.graph.input[0].type.tensor_type.shape.dim
    widths, canvas = border(shape[1].dim_value, shape[2].dim_value, pads, (120, 5, 60))
    conv = model.graph.node[0]
    conv.input[0] = "bordered"
    nodes = [
        helper.make_node("Pad", ["images", "widths"], ["padded"]),
        helper.make_node("Max", ["padded", "canvas"], ["bordered"]),
        conv,
    ]
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(
        [numpy_helper.from_array(widths, "widths"), numpy_helper.from_array(canvas, "canvas")]
    )
    return model


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 1, 2, 1), (2, 2, 0, 0)])
def test_a_border_takes_part(pads: tuple[int, int, int, int], stride: int) -> None:
    options = {"pads": (0, 0, 0, 0), "strides": (stride, stride)}
    plain, grouped = bordered(stem(**options), pads), bordered(stem(**options), pads)
    assert read_columns_together(grouped)
    assert [node.op_type for node in grouped.graph.node] == ["Pad", "Max", "Reshape", "QLinearConv", "Reshape"]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3)).astype(np.uint8)
    np.testing.assert_array_equal(output(grouped, pictures), output(plain, pictures))


def test_a_border_and_padding_besides_stay_as_they_are() -> None:
    model = bordered(stem(pads=(1, 1, 1, 1)), (1, 1, 1, 1))
    before = model.SerializeToString()
    assert not read_columns_together(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    "options",
    [
        {"width": 18},  # no multiple of four
        {"pads": (1, 0, 1, 0)},  # less than half the width
        {"strides": (4, 4)},
        {"strides": (2, 1)},
        {"channels_last": 0},
        {"zero": 3},
    ],
)
def test_other_convolutions_stay_as_they_are(options) -> None:
    model = stem(**options)
    before = model.SerializeToString()
    assert not read_columns_together(model)
    assert model.SerializeToString() == before


def test_a_picture_that_two_layers_read_stays_as_it_is() -> None:
    model = stem()
    model.graph.node.append(helper.make_node("Identity", ["images"], ["same"]))
    assert not read_columns_together(model)


def test_weights_that_nobody_reads_any_more_are_not_kept() -> None:
    model = stem()
    read_columns_together(model)
    read = {name for node in model.graph.node for name in node.input}
    assert {entry.name for entry in model.graph.initializer} == read - {
        "images",
        "stem.columns.read",
        "stem.columns.made",
    }


@pytest.mark.parametrize("device", ["x86_64+avx2", "x86_64+avx2+avx512_vnni"])
def test_engines_find_the_same_and_group_columns_where_that_pays(tmp_path: Path, device: str, monkeypatch) -> None:
    model = quantize(square_model(), table_of(tmp_path / "table"), scheme=Scheme.U8S8)
    monkeypatch.setattr(ort_build, "cpu_device", lambda: device)
    builder, engine = OrtBuilder(), tmp_path / "squares.onnx"
    builder.build(model, engine)
    grouped = "vnni" in device
    assert any(node.name.endswith(".columns") for node in onnx.load(engine).graph.node) == grouped
    assert bool(builder.options.int8_stem) == grouped
    onnx.save(model, tmp_path / "plain.onnx")
    with open_detector(engine) as ours, open_detector(tmp_path / "plain.onnx") as plain:
        for path in write_pictures(tmp_path / "seen", 4):
            picture = cv2.imread(str(path))
            found, expected = ours.detect(picture), plain.detect(picture)
            np.testing.assert_array_equal(found.boxes, expected.boxes)
            np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("reason", ["the canvas is made", "another operator", "the border is read twice"])
def test_a_border_that_is_no_picture_of_one_color_stays(reason: str) -> None:
    model = bordered(stem(pads=(0, 0, 0, 0)), (1, 1, 1, 1))
    if reason == "the canvas is made":
        model.graph.node.insert(0, helper.make_node("Identity", ["canvas"], ["made canvas"]))
        model.graph.node[2].input[1] = "made canvas"
    elif reason == "another operator":
        model.graph.node[1].op_type = "Min"
    else:
        model.graph.node.append(helper.make_node("Identity", ["padded"], ["seen"]))
    before = model.SerializeToString()
    assert not read_columns_together(model)
    assert model.SerializeToString() == before
