"""What the lowerings give is parsed and built by a real TensorRT, for two generations of GPUs, without having one.

That every preset builds in every precision: ``tests/engines/test_tensorrt_rtx.py``.
"""

from __future__ import annotations

import platform
import time
from functools import cache

import onnx
import pytest

from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.quantization.fake_table import table_for
from tests.quantization.int8_count import quantised_convolutions

if platform.machine() not in ("x86_64", "AMD64"):
    pytest.skip("TensorRT-RTX is for x86-64", allow_module_level=True)
trt = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")

GENERATIONS = (86, 120)
LOWER = {
    "fp32": lambda model: model,
    "fp16": to_half,
    "int8": lambda model: quantize(model, table_for(model)),
    "int8-fp16": lambda model: to_half(quantize(model, table_for(model))),
}


@cache
def exported(preset: str) -> onnx.ModelProto:
    return onnx_model(build_model(make_spec(preset, ["one", "two", "three"])).eval(), "sha256:" + "0" * 64)


def builder(precision: str, generations: tuple[int, ...] = GENERATIONS):
    from ssd_edge.engines.tensorrt.build import TrtBuilder

    return TrtBuilder("tensorrt-rtx", precision, TrtOptions(Batch(1, 4, 8), compute_capabilities=generations))


def parsed(model: onnx.ModelProto):
    """The layers as TensorRT understood them: kind, name, types of inputs, and which layer makes each input."""
    made = builder("int8")
    network, parser = made.parse(trt.Builder(made.messages.logger), model)
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    makers = {layer.get_output(number).name: layer.type for layer in layers for number in range(layer.num_outputs)}
    found = []
    for layer in layers:
        inputs = [layer.get_input(number) for number in range(layer.num_inputs)]
        found.append((layer.type, [(makers.get(entry.name), entry.dtype) for entry in inputs if entry is not None]))
    del network, parser
    return found


def int8_convolutions(layers) -> int:
    """Convolutions whose image and kernel both come out of a DQ: those TensorRT runs in 8 bits."""
    return sum(
        kind == trt.LayerType.CONVOLUTION
        and len(inputs) >= 2
        and all(maker == trt.LayerType.DEQUANTIZE for maker, _ in inputs[:2])
        for kind, inputs in layers
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssd300-vgg16", "ssdlite320-mobilenet-v3-large"])
@pytest.mark.parametrize("precision", ["int8", "int8-fp16"])
def test_every_convolution_is_parsed_as_int8(name, precision) -> None:
    model = LOWER[precision](exported(name))
    convolutions = sum(node.op_type == "Conv" for node in exported(name).graph.node)
    assert quantised_convolutions(model) == convolutions
    layers = parsed(model)
    assert int8_convolutions(layers) == convolutions
    wanted = trt.DataType.HALF if precision == "int8-fp16" else trt.DataType.FLOAT
    types = {entry for kind, inputs in layers if kind == trt.LayerType.CONVOLUTION for _, entry in inputs[:1]}
    assert types == {wanted}


def test_a_layer_that_is_kept_is_not_counted() -> None:
    model = exported("ssd192-tiny")
    kept = next(node.name for node in model.graph.node if node.op_type == "Conv")
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    lowered = quantize(model, table_for(model), keep_float=frozenset({kept}))
    assert int8_convolutions(parsed(lowered)) == convolutions - 1


@pytest.mark.slow
def test_ssd300_in_int8_is_small_and_soon_built(tmp_path) -> None:
    sizes, seconds = {}, {}
    for precision in ("fp32", "int8"):
        engine, start = tmp_path / f"{precision}.engine", time.process_time()  # of all threads, other programs apart
        builder(precision, generations=(86,)).build(LOWER[precision](exported("ssd300-vgg16")), engine)
        sizes[precision], seconds[precision] = engine.stat().st_size, time.process_time() - start
    assert sizes["int8"] <= 0.35 * sizes["fp32"]
    assert seconds["int8"] <= 10
