"""A real TensorRT parser and builder, without a GPU: presets in FP32, function inlined, batch 1 to 4."""

from __future__ import annotations

import os
import platform

import onnx
import pytest

from ssd_edge.core.graph import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.engines.nms_lowering import inline_function
from ssd_edge.export.onnx import onnx_model
from ssd_edge.model.zoo import build_model, make_spec, preset_names
from tests.export.conftest import DIGEST

if platform.machine() not in ("x86_64", "AMD64"):
    pytest.skip("TensorRT-RTX is for x86-64", allow_module_level=True)
trt = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")

# One of each kind of graph. The others differ in size; all together take 40 s.
ALWAYS = ("ssd300-vgg16", "ssdlite320-mobilenet-v3-large", "ssd192-tiny")
ALL = "SSD_EDGE_TEST_ALL_PRESETS"
SHAPE_OPS = {"Shape", "Expand", "If", "Identity", "ConstantOfShape", "NonMaxSuppression", "NonZero"}


class Log(trt.ILogger):
    """Collects what is wrong, but for the missing driver, which building for another GPU does not need."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def log(self, severity, message):
        if severity <= trt.ILogger.ERROR and "CUDA driver version" not in message:
            self.errors.append(message)


def build(model, log):
    """Parse and build for one GPU generation: the plan, or None, and what goes in and out."""
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(model.SerializeToString()), log.errors
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    profile = builder.create_optimization_profile()
    images = network.get_input(0)
    profile.set_shape(images.name, *[(count, *images.shape[1:]) for count in (1, 1, 4)])
    config.add_optimization_profile(profile)
    outputs = [network.get_output(number) for number in range(network.num_outputs)]
    signature = [(tensor.name, tensor.dtype, tuple(tensor.shape)) for tensor in (images, *outputs)]
    return builder.build_serialized_network(network, config), signature


def preset(name):
    chosen = name in ALWAYS or os.environ.get(ALL)
    return pytest.param(name, marks=[] if chosen else pytest.mark.skip(reason=f"set {ALL}=1"))


@pytest.mark.parametrize("name", [preset(name) for name in preset_names()])
def test_preset_is_clean_and_builds(name):
    spec = make_spec(name, ["one", "two", "three"])
    model = onnx_model(build_model(spec).eval(), DIGEST)
    assert SHAPE_OPS.isdisjoint(node.op_type for node in model.graph.node)
    assert free_axes(model) == {0}
    log = Log()
    plan, signature = build(inline_function(model), log)
    assert plan is not None, log.errors
    assert plan.nbytes > 1_000_000
    side, rows = spec.input.height, spec.nms.keep_top_k
    shapes = [(-1, side, side, 3), (-1, 1), (-1, rows, 4), (-1, rows), (-1, rows)]
    types = [trt.DataType.UINT8, trt.DataType.INT32, *3 * [trt.DataType.FLOAT]]
    assert signature == list(zip((INPUT_NAME, *OUTPUT_NAMES), types, shapes, strict=True))


def free_axes(model):
    """Which axes, of any tensor, have no fixed size."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = [value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output, *graph.value_info)]
    return {axis for dims in shapes for axis, dim in enumerate(dims) if not dim.HasField("dim_value")}
