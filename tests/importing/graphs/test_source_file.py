from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.importing.graphs.import_onnx import import_onnx
from ssd_edge.importing.graphs.source import read_foreign
from tests.importing.graphs.foreign_net import ForeignNet, pictures


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (b"PK\x03\x04rest", "a zip archive: a PyTorch checkpoint or a Keras file"),
        (b"\x80\x02rest", "a pickle: a PyTorch checkpoint of the old format"),
        (b"\x89HDF\r\n", "an HDF5 file: Keras weights"),
        (b"\x1c\x00\x00\x00TFL3rest", "a TensorFlow Lite model"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer: the file itself was not downloaded"),
        (b"ftrt\x00\x00", "a TensorRT engine"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"", "an empty file"),
        (b"\x00\x01\x02", "3 bytes that are truncated or damaged"),
    ],
)
def test_other_files_are_named(content, looks_like, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(
        ArtifactError, match=f"a.onnx is not a complete ONNX file: got {looks_like}; wanted an ONNX model"
    ):
        read_foreign(path)


def test_a_file_that_is_cut_short_is_named(tmp_path):
    path = ForeignNet().write(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ArtifactError, match=r"is not a complete ONNX file: got \d+ bytes that are truncated or damaged"
    ):
        read_foreign(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="a.onnx cannot be read .No such file or directory."):
        read_foreign(tmp_path / "a.onnx")


def test_ours_is_named(tmp_path):
    import_onnx(ForeignNet().write(tmp_path), tmp_path / "ours.onnx", pictures(1))
    with pytest.raises(
        ArtifactError,
        match=r"is already an ONNX file of ssd-edge .* Build an engine from it: ssd-edge build .*ours.onnx",
    ):
        read_foreign(tmp_path / "ours.onnx")


def test_weights_in_a_file_beside_are_read(tmp_path):
    net = ForeignNet()
    onnx.save(net.model, tmp_path / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    trunk = next(entry for entry in read_foreign(tmp_path / "a.onnx").graph.initializer if entry.name == "trunk")
    wanted = next(entry for entry in ForeignNet().model.graph.initializer if entry.name == "trunk")
    np.testing.assert_array_equal(numpy_helper.to_array(trunk), numpy_helper.to_array(wanted))
    (tmp_path / "a.data").unlink()
    with pytest.raises(ArtifactError, match="keeps its weights in another file, which cannot be read: .*Copy both"):
        read_foreign(tmp_path / "a.onnx")


def test_a_quantised_graph_is_refused(tmp_path):
    middle = """quantized = QuantizeLinear (map, step, zero)
        restored = DequantizeLinear (quantized, step, zero)
        features = Relu (restored)"""
    net = ForeignNet(opset=13, middle=middle, weights={"step": np.float32(0.1), "zero": np.int8(0)})
    net.model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.array(0, np.int8), "zero"))
    with pytest.raises(
        ArtifactError,
        match="is already quantized: got DequantizeLinear, QuantizeLinear; wanted a model in FP32. .*--int8",
    ):
        read_foreign(net.write(tmp_path))


@pytest.mark.parametrize("place", ["input", "weight"])
def test_half_precision_is_refused(place, tmp_path):
    net = ForeignNet()
    if place == "input":
        net.model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        name = "input_0"
    else:
        net.model.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float16), "half"))
        name = "half"
    with pytest.raises(ArtifactError, match=f"is in FP16 or bfloat16: got 1 tensors of 16 bits, the first {name}"):
        read_foreign(net.write(tmp_path))


def test_operators_of_others_are_refused(tmp_path):
    net = ForeignNet()
    net.model.graph.node[1].domain = "their.plugins"
    with pytest.raises(ArtifactError, match="needs operators that are not part of ONNX: got their.plugins.Relu"):
        read_foreign(net.write(tmp_path))


def test_weights_listed_as_inputs_are_no_inputs(tmp_path):
    net = ForeignNet()
    for entry in net.model.graph.initializer:
        net.model.graph.input.append(onnx.helper.make_tensor_value_info(entry.name, entry.data_type, entry.dims))
    assert [entry.name for entry in read_foreign(net.write(tmp_path)).graph.input] == ["input_0"]


def test_importing_a_graph_needs_no_torch():
    script = "import sys, ssd_edge.importing.graphs.import_onnx; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def with_function(*functions):
    """A foreign net whose ReLU is a function ``own.F``: named functions of (inputs, outputs, operator)."""
    net, opsets = ForeignNet(opset=17), [helper.make_opsetid("", 17)]
    relu = next(node for node in net.model.graph.node if node.op_type == "Relu")
    relu.domain, relu.op_type = "own", "F"
    net.model.opset_import.append(helper.make_opsetid("own", 1))
    for inputs, outputs, operator in functions:
        node = helper.make_node(operator, ["a"], ["b"])
        net.model.functions.append(helper.make_function("own", "F", inputs, outputs, [node], opsets))
    return net


def test_functions_are_written_out(tmp_path):
    report = import_onnx(with_function((["a"], ["b"], "Relu")).write(tmp_path), tmp_path / "ours.onnx", pictures(1))
    plain = import_onnx(ForeignNet(opset=17).write(tmp_path), tmp_path / "plain.onnx", pictures(1))
    with open_detector(report.onnx) as one, open_detector(plain.onnx) as other:
        found, wanted = one.detect(pictures()[0]), other.detect(pictures()[0])
    assert len(found) > 3
    np.testing.assert_array_equal(found.boxes, wanted.boxes)


@pytest.mark.parametrize(
    "functions",
    [
        [([], ["b"], "Relu")],
        [(["a"], [], "Relu")],
        [(["a"], ["b"], "Relu"), (["a"], ["b"], "Exp")],
    ],
)
def test_functions_that_do_not_fit_their_calls_are_refused(functions, tmp_path):
    with pytest.raises(ArtifactError, match=r"theirs\.onnx has functions that cannot be followed: got .*Export"):
        read_foreign(with_function(*functions).write(tmp_path))
