"""A real TensorRT parser and builder, without a GPU: presets in FP32, function inlined, batch 1 to 4."""

from __future__ import annotations

import os
import platform

import onnx
import pytest

from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.model.zoo import build_model, make_spec, preset_names
from tests.exporting.conftest import DIGEST

if platform.machine() not in ("x86_64", "AMD64"):
    pytest.skip("TensorRT-RTX is for x86-64", allow_module_level=True)
trt = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")

# One of each kind of graph. The others differ in size; all together take 40 s.
ALWAYS = ("ssd300-vgg16", "ssdlite320-mobilenet-v3-large", "ssd192-tiny")
ALL = "SSD_EDGE_TEST_ALL"
SHAPE_OPS = {"Shape", "Expand", "If", "Identity", "ConstantOfShape", "NonMaxSuppression", "NonZero"}


def build(model, folder):
    """Parse and build for one GPU generation: what goes in and out."""
    builder = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(Batch(1, 1, 4), compute_capabilities=(86,)))
    network, parser = builder.parse(trt.Builder(builder.messages.logger), model)
    tensors = [network.get_input(0), *(network.get_output(number) for number in range(network.num_outputs))]
    signature = [(tensor.name, tensor.dtype, tuple(tensor.shape)) for tensor in tensors]
    del network, parser
    builder.build(model, folder / "a.engine")
    return signature


def preset(name):
    chosen = name in ALWAYS or os.environ.get(ALL)
    return pytest.param(name, marks=[] if chosen else pytest.mark.skip(reason="make test-all"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [preset(name) for name in preset_names()])
def test_preset_is_clean_and_builds(name, tmp_path):
    spec = make_spec(name, ["one", "two", "three"])
    model = onnx_model(build_model(spec).eval(), DIGEST)
    assert SHAPE_OPS.isdisjoint(node.op_type for node in model.graph.node)
    assert free_axes(model) == {0}
    signature = build(model, tmp_path)
    assert (tmp_path / "a.engine").stat().st_size > 1_000_000
    side, rows = spec.input.height, spec.nms.keep_top_k
    shapes = [(-1, side, side, 3), (-1, 1), (-1, rows, 4), (-1, rows), (-1, rows)]
    types = [trt.DataType.UINT8, trt.DataType.INT32, *3 * [trt.DataType.FLOAT]]
    assert signature == list(zip((INPUT_NAME, *OUTPUT_NAMES), types, shapes, strict=True))


def free_axes(model):
    """Which axes, of any tensor, have no fixed size."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = [value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output, *graph.value_info)]
    return {axis for dims in shapes for axis, dim in enumerate(dims) if not dim.HasField("dim_value")}
