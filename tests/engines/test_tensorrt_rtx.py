"""A real TensorRT parser and builder, without a GPU, takes every preset in every precision."""

from __future__ import annotations

import os
import platform

import onnx
import pytest
from onnx import helper

from ssd_edge.core.choices import NmsBody, Precision, Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.tensorrt import config
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.exporting.export_onnx import onnx_model
from ssd_edge.model.zoo import build_model, make_spec, preset_names
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.exporting.conftest import DIGEST
from tests.quantization.fake_table import table_for
from tests.quantization.int8_count import quantised_convolutions
from tests.quantization.square_model import square_model

if platform.machine() not in ("x86_64", "AMD64"):
    pytest.skip("TensorRT-RTX is for x86-64", allow_module_level=True)
trt = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")

ALWAYS = ("ssd192-tiny",)  # the others take two minutes together: make test-all
ALL = "SSD_EDGE_TEST_ALL"
PRECISIONS = ("fp32", "fp16", "int8", "int8-fp16")
ONE = TrtOptions(Batch(), compute_capabilities=(86, 120))
MANY = TrtOptions(Batch(1, 4, 8), compute_capabilities=(75, 86, 120))


def preset(name):
    chosen = name in ALWAYS or os.environ.get(ALL)
    return pytest.param(name, marks=[] if chosen else pytest.mark.skip(reason="make test-all"))


def lowered(model, precision):
    if precision.startswith("int8"):
        model = quantize(model, table_for(model))
    return to_half(model) if precision.endswith("fp16") else model


def layers_of(builder, model):
    """The layers of the network that TensorRT parsed, as (type, types of the layers that make its inputs)."""
    network, parser = builder.parse(trt.Builder(builder.messages.logger), model)
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    makers = {layer.get_output(k).name: layer.type for layer in layers for k in range(layer.num_outputs)}
    found = [
        (layer.type, [makers.get(given.name) for k in range(layer.num_inputs) if (given := layer.get_input(k))])
        for layer in layers
    ]
    del parser
    return found


def int8_convolutions(builder, model):
    """How many convolutions read what was dequantized, images and weights."""
    return sum(
        kind == trt.LayerType.CONVOLUTION and inputs[:2] == [trt.LayerType.DEQUANTIZE] * 2
        for kind, inputs in layers_of(builder, model)
    )


RULES_OUT_CAPTURE = {trt.LayerType.TRIP_LIMIT, trt.LayerType.RECURRENCE, trt.LayerType.NON_ZERO, trt.LayerType.NMS}


@pytest.fixture
def allocation_flags(monkeypatch) -> list[bool]:
    """Whether each build had REQUIRE_USER_ALLOCATION."""
    flags: list[bool] = []
    original = config.set_limits

    def seen(release, builder_config, options):
        original(release, builder_config, options)
        flags.append(builder_config.get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION))

    monkeypatch.setattr(config, "set_limits", seen)
    return flags


@pytest.mark.parametrize("name", [preset(name) for name in preset_names()])
def test_preset_builds_in_every_precision(tmp_path, allocation_flags, name) -> None:
    model = onnx_model(build_model(make_spec(name, ["one", "two", "three"])).eval(), DIGEST)
    for precision in PRECISIONS:
        ready = lowered(model, precision)
        for options in (ONE, MANY):
            builder = TrtBuilder("tensorrt-rtx", precision, options)
            builder.build(ready, tmp_path / "a.engine")
            assert (tmp_path / "a.engine").stat().st_size > 500_000
            assert RULES_OUT_CAPTURE.isdisjoint(kind for kind, _ in layers_of(builder, ready))
        if precision.startswith("int8"):
            assert int8_convolutions(builder, ready) == quantised_convolutions(ready) > 10
    assert allocation_flags == [True] * (2 * len(PRECISIONS))


@pytest.mark.slow
def test_int8_of_the_largest_backbone_is_a_third_of_its_size(tmp_path) -> None:
    model = onnx_model(build_model(make_spec("ssd300-vgg16", ["one", "two", "three"])).eval(), DIGEST)
    sizes = {}
    for precision in ("fp32", "int8"):
        TrtBuilder("tensorrt-rtx", precision, ONE).build(lowered(model, precision), tmp_path / precision)
        sizes[precision] = (tmp_path / precision).stat().st_size
    assert sizes["int8"] <= 0.35 * sizes["fp32"], sizes


def test_built_so_that_a_cuda_graph_can_be_captured(tmp_path, allocation_flags) -> None:
    """With the flag that NVIDIA asks for; a Loop, which it builds, leaves layers in it that rule a graph out."""
    for batch in (Batch(), Batch(1, 4, 8)):
        builder = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(batch))
        builder.build(square_model(), tmp_path / "a.engine")
    assert allocation_flags == [True, True]
    assert RULES_OUT_CAPTURE.isdisjoint(kind for kind, _ in layers_of(builder, square_model()))
    with_loop = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(nms=NmsBody.LOOP))
    assert trt.LayerType.TRIP_LIMIT in {kind for kind, _ in layers_of(with_loop, square_model())}


def test_both_ways_to_write_weights(tmp_path) -> None:
    for stored in (True, False):
        model = quantize(square_model(), table_for(square_model()), stored_weights=stored)
        builder = TrtBuilder("tensorrt-rtx", "int8", ONE)
        builder.build(model, tmp_path / "a.engine")
        assert int8_convolutions(builder, model) == 5


TYPES = {
    "node_of_pixels": "FLOAT", "node_of_planes": "FLOAT", "node_of_centred": "FLOAT", "node_of_normalised": "FLOAT",
    "conv1": "HALF", "conv1.relu": "HALF", "conv2": "HALF", "conv2.relu": "HALF", "conv3": "HALF", "conv3.relu": "HALF",
    "logits": "HALF", "logits.map.float": "FLOAT", "node_of_logits.rows": "FLOAT", "node_of_logits": "FLOAT",
    "offsets": "HALF", "offsets.map.float": "FLOAT", "node_of_offsets.rows": "FLOAT", "node_of_offsets": "FLOAT",
    "node_of_probabilities": "FLOAT",
}  # fmt: skip
"""What the layers of the sample detector give in INT8 with FP16, up to its scores; behind them all is FLOAT."""


@pytest.mark.parametrize("precision", ["int8", "int8-fp16"])
def test_the_types_that_the_real_parser_reads(precision) -> None:
    model = Lowering(Precision(precision), Target.TENSORRT_RTX)(square_model(), table_for(square_model()))
    builder = TrtBuilder("tensorrt-rtx", precision, ONE)
    network, parser = builder.parse(trt.Builder(builder.messages.logger), model)
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    found = {layer.name: layer.get_output(0).dtype.name for layer in layers}
    made = {layer.get_output(0).name: layer.type for layer in layers}
    wanted = {name: "FLOAT" if precision == "int8" else kind for name, kind in TYPES.items()}
    if precision == "int8":
        del wanted["logits.map.float"], wanted["offsets.map.float"]
    assert {name: found.get(name) for name in wanted} == wanted
    halves = {layer.name for layer in layers if found[layer.name] == "HALF"}
    weights = ("scale", "scale.half", "dequantised")
    assert {name for name in halves if not name.endswith(weights)} == {
        n for n, kind in wanted.items() if kind == "HALF"
    }
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    assert [layer.name for layer in convolutions] == ["conv1", "conv2", "conv3", "logits", "offsets"]
    for layer in convolutions:  # INT8: images and weights come from what was dequantized
        assert [made[layer.get_input(number).name] for number in (0, 1)] == [trt.LayerType.DEQUANTIZE] * 2
    del parser


def test_progress_and_no_timing_cache(tmp_path) -> None:
    told = []
    builder = TrtBuilder("tensorrt-rtx", "fp32", ONE, timing_cache=tmp_path / "timing.cache")
    builder.build(square_model(), tmp_path / "a.engine", lambda done, total, note="": told.append((done, total, note)))
    assert told
    assert all(done <= total and note for done, total, note in told)
    assert not (tmp_path / "timing.cache").exists()  # RTX keeps none: kernels are timed on the device


def test_what_the_manifest_says(tmp_path) -> None:
    builder = TrtBuilder("tensorrt-rtx", "int8", MANY)
    assert builder.device == "sm_75+sm_86+sm_120"
    assert builder.batch == (1, 4, 8)
    assert builder.runtime_version == trt.__version__
    assert builder.nms is NmsBody.ROUNDS


def test_gpu_that_this_release_does_not_know(tmp_path) -> None:
    builder = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(compute_capabilities=(72,)))
    with pytest.raises(
        InputError, match="cannot build for GPUs of compute capability 72: wanted 75, 80, 86, 89, 120, 121"
    ):
        builder.build(square_model(), tmp_path / "a.engine")


@pytest.mark.parametrize("option", ["version_compatible", "hardware_compatible"])
def test_what_rtx_only_seems_to_have(tmp_path, option) -> None:
    builder = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(**{option: True}))
    name = "--" + option.replace("_", "-")
    with pytest.raises(InputError, match=f"{trt.__version__} does not support {name}. Build without {name}"):
        builder.build(square_model(), tmp_path / "a.engine")


def test_workspace_that_is_too_small_is_said_with_what_helps(tmp_path) -> None:
    builder = TrtBuilder("tensorrt-rtx", "fp32", TrtOptions(builder_memory_gib=0.001, compute_capabilities=(86,)))
    with pytest.raises(ArtifactError, match=r"within workspace limit.* Raise --builder-memory\."):
        builder.build(square_model(), tmp_path / "a.engine")


@pytest.mark.parametrize(
    ("nodes", "layer"),
    [
        ([helper.make_node("Nonsense", ["boxes"], ["found"], "/head/Nonsense", domain="a.b")], "/head/Nonsense"),
        ([helper.make_node("NonZero", ["boxes"], ["found"], "/head/NonZero")], "/head/NonZero"),
    ],
)
def test_the_layer_that_cannot_be_built_is_named(tmp_path, nodes, layer) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(square_model())
    model.graph.node.extend(nodes)
    model.graph.output.append(helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, None))
    model.opset_import.append(helper.make_opsetid("a.b", 1))
    builder = TrtBuilder("tensorrt-rtx", "fp32", ONE)
    with pytest.raises(ArtifactError, match=f"cannot parse the ONNX, at layer {layer}: got .*Export the model again"):
        builder.build(model, tmp_path / "a.engine")
    assert not (tmp_path / "a.engine").exists()
