"""What ``build --int8`` gives to each release, layer by layer: INT8 where quantized, and the intended float type."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
from onnx import TensorProto

import ssd_edge.engines.tensorrt.release as release_module
import ssd_edge.workflows.build.config as config_module
from ssd_edge.core.choices import FloatType, Precision
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.graph_contract import ROUNDS_KEY
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.graph.half_nodes import half_names
from ssd_edge.workflows.build.build import BuildConfig, build
from tests.engines.standin_tensorrt import make_tensorrt
from tests.engines.tensorrt.test_trt_build import ORIN, called
from tests.quantization.square_model import write_pictures, write_square_model
from tools.emulator.standin.plan import unpack

TYPED = ("10.3.0", "10.16.2.10", "11.4.0.106")
NAMES = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}
REST = "the rest's"
NETWORK = {
    "planes": "fp32", "centred": "fp32", "normalised": "fp32",
    "conv1": "int8", "conv1.relu": REST, "conv2": "int8", "conv2.relu": REST, "conv3": "int8", "conv3.relu": REST,
    "logits": "int8", "logits.rows": "fp32", "logits_": "fp32", "offsets": "int8", "offsets.rows": "fp32",
    "offsets_": "fp32", "probabilities": "fp32", "scores": "fp32",
    "offset.centre": "fp32", "shift": "fp32", "centre": "fp32", "log.scale": "fp32", "scale": "fp32", "size": "fp32",
    "reach": "fp32", "first.corner": "fp32", "last.corner": "fp32", "corners": "fp32", "clipped": "fp32",
    "boxes": "fp32",
}  # fmt: skip
"""All layers of the sample detector that give floats, but the NMS, and what each computes in."""
MAY_BE_HALF = {name for name, kind in NETWORK.items() if kind in ("int8", REST)}


@pytest.fixture
def squares(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "images")
    return write_square_model(tmp_path / "engines/squares/squares.onnx")


@pytest.fixture
def install(monkeypatch):
    def put(version: str, **traits: Any):
        trt = make_tensorrt(version, **traits)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        monkeypatch.setattr(release_module, "describe_gpu", lambda: ORIN)
        monkeypatch.setattr(config_module, "describe_gpu", lambda: ORIN)
        return trt

    return put


def int8(squares: Path, target: str = "tensorrt", **changes: Any):
    config = BuildConfig(precision=Precision.INT8, target=target, images=Path("images"), **changes)
    return build(squares, config=config)


def types_of(model: onnx.ModelProto) -> dict[str, str]:
    """What each node computes in: int8 where a convolution reads what was dequantized, else the type that it gives."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {entry.name: entry.type.tensor_type.elem_type for entry in (*inferred.value_info, *inferred.output)}
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    found = {}
    for node in model.graph.node:
        is_int8 = node.op_type == "Conv" and made.get(node.input[0]) == "DequantizeLinear"
        kind = "int8" if is_int8 else NAMES.get(types.get(node.output[0], 0), "")
        if kind and node.op_type not in ("Cast", "Constant", "DequantizeLinear"):
            found[node.name or node.output[0]] = kind
    return found


def given_to(trt: Any) -> dict[str, str]:
    return types_of(onnx.load_model_from_string(called(trt, "parse")[-1][0]))


def check(types: dict[str, str], rest: str) -> None:
    """Hold each layer to the list; where the NMS is written out, each of its layers is float32."""
    wanted = {name: rest if kind is REST else kind for name, kind in NETWORK.items()}
    assert {name: types.get(name) for name in wanted} == wanted
    nms = {name: kind for name, kind in types.items() if name not in wanted}
    assert set(nms.values()) <= {"fp32"}, {name for name, kind in nms.items() if kind != "fp32"}
    assert len(nms) == 0 or "kept__1" in nms


@pytest.mark.parametrize("version", TYPED)
def test_int8_asks_for_half_precision_where_types_are_strong(squares, install, version) -> None:
    trt = install(version)
    made = int8(squares)
    assert made.manifest.precision is Precision.INT8_FP16
    assert made.path.name == "squares.int8-fp16.tensorrt.engine"
    check(given_to(trt), "fp16")
    assert not unpack(made.path.read_bytes())[0].half  # nothing is left to TensorRT's choice


def test_int8_of_rtx(squares, monkeypatch) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
    seen: list[onnx.ModelProto] = []
    import ssd_edge.engines.tensorrt.network as network

    original = network.with_nms
    monkeypatch.setattr(network, "with_nms", lambda *a, **k: seen.append(original(*a, **k)) or seen[-1])
    made = int8(squares, "tensorrt-rtx", tensorrt=TrtOptions(compute_capabilities=(86,)))
    assert made.path.name == "squares.int8-fp16.tensorrt-rtx.engine"
    check(types_of(seen[-1]), "fp16")


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        ("8.6.2.3", {}),
        ("10.3.0", {"float_type": FloatType.FP32}),
        ("11.4.0.106", {"float_type": FloatType.FP32}),
    ],
)
def test_int8_with_float32(squares, install, version, changes) -> None:
    trt = install(version)
    made = int8(squares, **changes)
    assert made.path.name == "squares.int8.tensorrt.engine"
    check(given_to(trt), "fp32")


def test_int8_by_a_calibration_cache_is_with_float32(squares, install) -> None:
    trt = install("10.3.0", dla_cores=1)
    for options in (TrtOptions(implicit=True), TrtOptions(dla=0)):
        assert int8(squares, tensorrt=options, force=True).manifest.precision is Precision.INT8
    assert "FP16" not in [flag.name for (flag,) in called(trt, "set_flag")]


def test_on_a_processor_int8_is_with_float32_and_float16_is_refused(squares) -> None:
    assert int8(squares, "onnxruntime").path.name == "squares.int8.onnxruntime.engine"
    with pytest.raises(InputError, match="mix INT8 and FP16"):
        int8(squares, "onnxruntime", float_type=FloatType.FP16)
    with pytest.raises(InputError, match="float_type is only for precision int8: got precision fp16"):
        build(squares, config=BuildConfig(precision=Precision.FP16, float_type=FloatType.FP32))


@pytest.mark.parametrize(
    ("version", "options", "flag"),
    [
        ("8.5.2.2", TrtOptions(), "OBEY_PRECISION_CONSTRAINTS"),
        ("8.6.2.3", TrtOptions(), "OBEY_PRECISION_CONSTRAINTS"),
        ("8.6.2.3", TrtOptions(version_compatible=True), "OBEY_PRECISION_CONSTRAINTS"),
        ("10.3.0", TrtOptions(Batch(), implicit=True), "OBEY_PRECISION_CONSTRAINTS"),
        ("10.3.0", TrtOptions(Batch(), dla=0), "PREFER_PRECISION_CONSTRAINTS"),
    ],
)
def test_where_flags_choose_the_types_what_overflows_in_half_is_told_float32(
    squares, install, version, options, flag
) -> None:
    """The stand-in takes half precision wherever nothing forbids it, as TensorRT may."""
    trt = install(version, dla_cores=1)
    made = int8(squares, float_type=FloatType.FP16, tensorrt=options)
    assert made.path.name == "squares.int8-fp16.tensorrt.engine"
    half = {name.removeprefix("node_of_") for name in unpack(made.path.read_bytes())[0].half}
    assert half
    assert half <= MAY_BE_HALF
    assert flag in [entry.name for (entry,) in called(trt, "set_flag")]
    assert not trt._standin.device.faults


NORM = """
<ir_version: 8, opset_import: ["" : 17]>
norm (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y) <float[4, 4, 1, 1] w, float scale = {20.0}>
{
    features = Conv (x, w)
    length = ReduceL2 <axes = [1], keepdims = 1> (features)
    unit = Div (features, length)
    normed = Mul (unit, scale)
    y = Conv (normed, w)
}
"""


def test_a_sum_of_squares_between_convolutions_stays_float32() -> None:
    """As in SSD300's L2 norm, where half precision overflows."""
    model = onnx.parser.parse_model(NORM)
    assert half_names(model) == {"features", "y"}


def test_a_layer_without_an_int8_kernel_returns_to_float_once(squares, install, caplog) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    trt = install("10.3.0", no_int8_kernel="conv2")
    made = int8(squares)
    assert made.manifest.options.keep_float == ("conv2",)
    assert len(called(trt, "parse")) == 2
    types = given_to(trt)
    assert (types["conv1"], types["conv2"], types["conv3"]) == ("int8", "fp16", "int8")
    assert "has no INT8 kernel for conv2.weight + conv2 + PWN(PWN(conv2.sigmoid), conv2.relu): " in caplog.text
    assert "with conv2 in FP32 or FP16" in caplog.text
    assert int8(squares).reused  # the same build again is known


def test_a_layer_whose_kernels_want_more_memory_stays_in_int8(squares, install, caplog) -> None:
    trt = install("10.3.0", no_int8_kernel="conv2", short_of_memory=True)
    with pytest.raises(ArtifactError, match=r"not enough memory: got .*conv2.*insufficient to use .*Close other"):
        int8(squares)
    assert len(called(trt, "parse")) == 1
    assert "in FP32 or FP16" not in caplog.text


def test_a_layer_that_is_none_of_the_graph_is_named_as_tensorrt_names_it(squares, install, monkeypatch) -> None:
    install("10.3.0", builds=False)
    with pytest.raises(ArtifactError, match=r"at layer conv1: got .*once for each of its layers: conv1\)"):
        int8(squares, keep_float=frozenset({"conv1"}))


def test_the_board_s_profile_is_taken_and_said(squares, install, monkeypatch, tmp_path, caplog) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    monkeypatch.setattr("ssd_edge.engines.boards._MODEL", tmp_path / "model")
    trt = install("10.3.0")
    made = build(squares, config=BuildConfig(target="tensorrt"))
    assert made.manifest.options.workspace_gib == 1.0
    limits = {pool.name: size for pool, size in called(trt, "set_memory_pool_limit")}
    assert limits == {"WORKSPACE": 1 << 30, "TACTIC_DRAM": 2 << 30}
    assert "board orin-nano: Jetson Orin Nano" in caplog.text
    assert "builder memory 1 GiB; to choose another profile: --board" in caplog.text


def test_an_unknown_board_s_memory_is_bounded_too(squares, install) -> None:
    trt = install("10.3.0")
    build(squares, config=BuildConfig(target="tensorrt"))
    limits = {pool.name: size for pool, size in called(trt, "set_memory_pool_limit")}
    assert limits == {"WORKSPACE": 1 << 30, "TACTIC_DRAM": 2 << 30}  # of 8 GiB


@pytest.mark.parametrize(
    ("memory", "asked", "workspace", "tactics"),
    [
        (int(7.4 * (1 << 30)), None, int(7.4 * (1 << 30)) // 8, 1 << 30),  # an Orin Nano as its driver counts
        (int(3.3 * (1 << 30)), 1.0, 1 << 30, 1 << 30),
        (int(15.3 * (1 << 30)), 1.5, 3 << 29, 2 << 30),
    ],
)
def test_memory_for_trying_kernels_is_a_power_of_two(
    squares, install, monkeypatch, memory, asked, workspace, tactics
) -> None:
    """TensorRT refuses any other number, and goes on with its own limit."""
    trt = install("10.3.0")
    monkeypatch.setattr(release_module, "describe_gpu", lambda: {**ORIN, "memory": memory})
    build(squares, config=BuildConfig(target="tensorrt", tensorrt=TrtOptions(builder_memory_gib=asked)))
    limits = {pool.name: size for pool, size in called(trt, "set_memory_pool_limit")}
    assert limits == {"WORKSPACE": workspace, "TACTIC_DRAM": tactics}
    assert not trt._standin.device.faults


def test_a_card_s_memory_is_left_to_tensorrt(squares, install, monkeypatch) -> None:
    trt = install("10.3.0")
    monkeypatch.setattr(release_module, "describe_gpu", lambda: {**ORIN, "integrated": False})
    build(squares, config=BuildConfig(target="tensorrt", tensorrt=TrtOptions(hardware_compatible=True)))
    assert not called(trt, "set_memory_pool_limit")


def test_hardware_compatibility_is_refused_where_the_gpu_shares_memory(squares, install) -> None:
    install("10.3.0")
    with pytest.raises(
        InputError, match="--hardware-compatible is not possible on this GPU: got a GPU that shares the board's memory"
    ):
        build(squares, config=BuildConfig(target="tensorrt", tensorrt=TrtOptions(hardware_compatible=True)))


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ("9", "NMS: 18 rounds of suppression written out, .*; the images that it was compared on needed 9"),
        ("0", "NMS: 16 rounds .*; the images that it was compared on needed 0"),
        (None, "NMS: 16 rounds .*; how many its images need is unknown"),
    ],
)
def test_build_says_how_many_rounds_and_why(squares, install, caplog, counted, said) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    install("11.4.0.106")
    if counted is not None:
        model = onnx.load(squares)
        model.metadata_props.add(key=ROUNDS_KEY, value=counted)
        onnx.save(model, squares)
    made = build(squares, config=BuildConfig(target="tensorrt"))
    assert re.search(said, caplog.text)
    assert made.manifest.options.nms == ("18 rounds" if counted == "9" else "16 rounds")
