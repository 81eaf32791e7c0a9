from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.importing.graphs.source import SourceInput, source_input

PATH = Path("a.onnx")


def model(*inputs):
    values = [helper.make_tensor_value_info(f"x{number}", kind, dims) for number, (kind, dims) in enumerate(inputs)]
    return helper.make_model(helper.make_graph([], "g", values, []))


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize(
    ("dims", "size", "wanted"),
    [
        ([1, 3, 300, 320], None, SourceInput("x0", 300, 320, batch_is_free=False)),
        (["N", 3, 300, 320], (300, 320), SourceInput("x0", 300, 320, batch_is_free=True)),
        (["N", "C", "H", "W"], (64, 96), SourceInput("x0", 64, 96, batch_is_free=True)),
    ],
)
def test_input_is_described(dims, size, wanted):
    assert source_input(model((FLOAT, dims)), PATH, size) == wanted


@pytest.mark.parametrize(
    ("inputs", "size", "message"),
    [
        (
            [(FLOAT, [1, 3, 8, 8]), (TensorProto.INT64, [1, 2])],
            None,
            r"does not take one image as its input: got 2 inputs: x0 float \(1, 3, 8, 8\), x1 int64 \(1, 2\)",
        ),
        ([(2**31 - 1, [1, 3, 8, 8])], None, r"got x0 of the unknown type 2147483647 \(1, 3, 8, 8\)"),
        ([(TensorProto.UINT8, [1, 3, 8, 8])], None, r"got x0 uint8 \(1, 3, 8, 8\); .*Export it with float32 pixels"),
        (
            [(FLOAT, [1, 10])],
            None,
            r"got x0 float \(1, 10\); wanted one input of type float32 and shape \(batch, 3, height, width\)",
        ),
        ([(FLOAT, [1, 8, 8, 3])], None, r"Export it with NCHW input: it takes images as NHWC, as TensorFlow does"),
        ([(FLOAT, [4, 3, 8, 8])], None, "Export it again with a batch size of 1 or a dynamic one"),
        ([(FLOAT, [1, 3, "H", "W"])], None, "--input-size WIDTHxHEIGHT"),
        ([(FLOAT, [1, 3, 8, "W"])], (9, 8), "a.onnx has a different input size: got --input-size 8x9; wanted anyx8"),
    ],
)
def test_other_inputs_are_refused(inputs, size, message):
    with pytest.raises(ArtifactError, match=message):
        source_input(model(*inputs), PATH, size)
