"""What the builder asks of each TensorRT release, on stand-ins that have what that release has and no more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import ssd_edge.engines.tensorrt.release as module
from ssd_edge.core.choices import NmsBody, Precision, Target
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError, MissingPackageError, SsdEdgeError
from ssd_edge.core.files import bytes_digest
from ssd_edge.core.graph_contract import EFFICIENT_NMS, NMS_OP
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.engines.boards import load_profile
from ssd_edge.engines.build import BuildReport, build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.engines.tensorrt.build import TrtBuilder
from ssd_edge.graph.nms_bodies import LEAST_ROUNDS
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.fp16 import mixed, to_half
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.engines.standin_tensorrt import RELEASES, make_tensorrt
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model, write_square_model
from tools.emulator.standin.plan import unpack

ORIN = {
    "name": "Orin",
    "compute_capability": [8, 7],
    "integrated": True,
    "memory": 8 << 30,
    "driver_cuda": [12, 6],
    "count": 1,
}


@pytest.fixture
def install(monkeypatch):
    """Put a stand-in in TensorRT's place, on a board with a GPU."""

    def put(version: str, **traits: Any):
        trt = make_tensorrt(version, **traits)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        monkeypatch.setattr(module, "describe_gpu", lambda: ORIN)
        return trt

    return put


def build(
    tmp_path: Path, precision: str = "fp32", options: TrtOptions | None = None, *, cache: bytes = b"", **others: Any
) -> TrtBuilder:
    builder = TrtBuilder(Target.TENSORRT, Precision(precision), options or TrtOptions(), **others)
    model = square_model() if builder.takes_cache else lowered(precision, weakly_typed=builder.is_weakly_typed)
    builder.build(model, tmp_path / "a.engine", calibration_cache=cache)
    return builder


def lowered(precision: str, *, weakly_typed: bool) -> onnx.ModelProto:
    model = square_model()
    if precision.startswith("int8"):
        model = quantize(model, table_for(model), stored_weights=False)
        return mixed(model, weakly_typed=weakly_typed) if precision == "int8-fp16" else model
    return to_half(model) if precision == "fp16" else model


def called(trt: Any, name: str) -> list[tuple[Any, ...]]:
    return [call[1:] for call in trt.calls if call[0] == name]


def settings(trt: Any) -> dict[str, Any]:
    return {call[1]: call[2] for call in trt.calls if call[0] == "set"}


def parsed(trt: Any) -> onnx.ModelProto:
    return onnx.load_model_from_string(called(trt, "parse")[0][0])


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-fp16"])
def test_precision_is_flags_or_types(tmp_path, install, version, precision) -> None:
    trt = install(version)
    build(tmp_path, precision)
    flags = [flag.name for (flag,) in called(trt, "set_flag")]
    held = "OBEY_PRECISION_CONSTRAINTS"  # what overflows in half precision is told float32
    weak = {"fp32": [], "fp16": ["FP16", held], "int8": ["INT8"], "int8-fp16": ["INT8", "FP16", held]}[precision]
    assert flags == (weak if version.startswith("8.") else [])
    wanted = {"8": 0b01, "10": 0b11, "11": 0b01}[version.split(".")[0]]  # explicit batch; both; strongly typed, bit 0
    assert called(trt, "create_network") == [(wanted,)]
    assert unpack((tmp_path / "a.engine").read_bytes())[0].version == version


@pytest.mark.parametrize("version", RELEASES)
def test_nms_is_the_plugin_where_it_is_registered(tmp_path, install, version) -> None:
    trt = install(version)
    builder = build(tmp_path)
    ops = {node.op_type for node in parsed(trt).graph.node}
    assert (builder.nms is NmsBody.PLUGIN) == (not version.startswith("11."))
    assert (NMS_OP in ops) == (builder.nms is NmsBody.PLUGIN)
    assert not parsed(trt).functions
    assert "Loop" not in ops
    assert builder.options.nms == ("16 rounds" if version.startswith("11.") else "plugin")


@pytest.mark.parametrize("version", ["8.6.2.3", "10.3.0", "10.16.2.10"])
def test_an_engine_for_later_releases_has_no_plugin(tmp_path, install, version) -> None:
    trt = install(version)
    builder = build(tmp_path, options=TrtOptions(version_compatible=True))
    assert NMS_OP not in {node.op_type for node in parsed(trt).graph.node}
    assert not unpack((tmp_path / "a.engine").read_bytes())[0].plugin
    assert builder.options == EngineOptions(version_compatible=True, nms="16 rounds")


def test_a_registry_without_the_plugin_gets_plain_onnx(tmp_path, install) -> None:
    trt = install("10.3.0", plugins=("EfficientNMS_TRT",))
    build(tmp_path)
    assert {NMS_OP, "Loop"}.isdisjoint(node.op_type for node in parsed(trt).graph.node)


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("nms", NmsBody)
def test_nms_that_is_chosen(tmp_path, install, version, nms) -> None:
    trt = install(version)
    if nms is NmsBody.PLUGIN and version.startswith("11."):
        with pytest.raises(
            InputError, match=r"does not have the plugin BatchedNMSDynamic_TRT: got --nms plugin.*Leave out --nms"
        ):
            TrtBuilder(Target.TENSORRT, Precision.FP32, TrtOptions(nms=nms)).check()
        return
    builder = build(tmp_path, options=TrtOptions(nms=nms))
    builder.check()
    ops = {node.op_type for node in parsed(trt).graph.node}
    has = {NmsBody.PLUGIN: NMS_OP, NmsBody.EFFICIENT: EFFICIENT_NMS, NmsBody.LOOP: "Loop"}
    assert {body for body, op in has.items() if op in ops} == {nms} - {NmsBody.ROUNDS}
    assert builder.options.nms == (f"{LEAST_ROUNDS} rounds" if nms is NmsBody.ROUNDS else nms.value)


def test_an_engine_for_later_releases_takes_no_plugin_that_is_chosen(install) -> None:
    install("10.3.0")
    builder = TrtBuilder(Target.TENSORRT, Precision.FP32, TrtOptions(version_compatible=True, nms=NmsBody.EFFICIENT))
    with pytest.raises(InputError, match="an engine with --version-compatible cannot use plugins: got --nms efficient"):
        builder.check()


@pytest.mark.parametrize("version", RELEASES[1:])
def test_shapes_and_memory(tmp_path, install, version) -> None:
    trt = install(version)
    build(tmp_path, options=TrtOptions(Batch(1, 4, 8), builder_memory_gib=1.5))
    shapes = [(count, 128, 128, 3) for count in (1, 4, 8)]
    assert called(trt, "set_shape") == [("images", *shapes)]
    limits = [(pool.name, size) for pool, size in called(trt, "set_memory_pool_limit")]
    assert limits == [("WORKSPACE", 1610612736), ("TACTIC_DRAM", 2 << 30)]  # an Orin's GPU shares the memory
    assert not unpack((tmp_path / "a.engine").read_bytes())[0].static


@pytest.mark.parametrize("version", RELEASES)
def test_several_contexts_may_use_the_engine(tmp_path, install, version) -> None:
    trt = install(version)
    build(tmp_path, options=TrtOptions(Batch(4, 4, 4)))
    features = [(feature.name, on) for feature, on in called(trt, "set_preview_feature")]
    assert features == ([("PROFILE_SHARING_0806", True)] if version.startswith("8.6") else [])
    header, _ = unpack((tmp_path / "a.engine").read_bytes())
    assert header.shared_profiles or header.static
    assert header.static  # least and most are the same
    assert header.profiles == [[4, 4, 4]]


def test_8_5_has_no_range_of_batches(tmp_path, install) -> None:
    install("8.5.2.2")
    with pytest.raises(
        InputError, match=r"at once with --batch MIN:OPT:MAX: got 1:4:8. Build for one batch size: --batch 8"
    ):
        build(tmp_path, options=TrtOptions(Batch(1, 4, 8)))


@pytest.mark.parametrize(
    ("version", "precision", "options", "others", "message"),
    [
        ("8.5.2.2", "fp32", TrtOptions(Batch(1, 4, 8)), {}, "at once with --batch MIN:OPT:MAX"),
        ("8.5.2.2", "fp32", TrtOptions(opt_level=5), {}, "does not support --opt-level"),
        ("10.3.0", "fp32", TrtOptions(compute_capabilities=(86,)), {}, "does not support --compute-capabilities"),
        ("10.3.0", "fp16", TrtOptions(dla=1), {}, "there is no DLA core 1"),
        ("11.4.0.106", "int8", TrtOptions(implicit=True), {}, "does not support calibration caches"),
    ],
)
def test_what_a_release_cannot_do_is_known_before_the_work(
    install, version, precision, options, others, message
) -> None:
    install(version, dla_cores=1)
    builder = TrtBuilder(Target.TENSORRT, Precision(precision), options, **others)
    with pytest.raises(SsdEdgeError, match=message):
        builder.check()


@pytest.mark.parametrize("version", RELEASES)
def test_nothing_is_wrong_with_what_every_release_can_do(install, version) -> None:
    trt = install(version)
    TrtBuilder(Target.TENSORRT, Precision.INT8, TrtOptions(Batch(4, 4, 4), builder_memory_gib=1)).check()
    assert not called(trt, "parse")


@pytest.mark.parametrize("version", RELEASES)
def test_progress_where_there_is_a_monitor(tmp_path, install, version) -> None:
    trt = install(version)
    build(tmp_path)
    assert ("progress_monitor" in settings(trt)) == (not version.startswith("8."))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (TrtOptions(opt_level=5), "--opt-level"),
        (TrtOptions(version_compatible=True), "--version-compatible"),
        (TrtOptions(hardware_compatible=True), "--hardware-compatible"),
    ],
)
def test_what_8_5_has_not_is_refused_by_name(tmp_path, install, monkeypatch, options, name) -> None:
    install("8.5.2.2")
    with pytest.raises(InputError, match=f"tensorrt 8.5.2.2 does not support {name}. Build without {name}"):
        build(tmp_path, options=options)
    trt = install("10.3.0")
    monkeypatch.setattr(module, "describe_gpu", lambda: {**ORIN, "integrated": False})
    build(tmp_path, options=options)
    assert trt.calls


def test_compute_capabilities_are_of_rtx(tmp_path, install) -> None:
    install("10.3.0")
    with pytest.raises(InputError, match="does not support --compute-capabilities"):
        build(tmp_path, options=TrtOptions(compute_capabilities=(86,)))


def test_timing_cache_is_kept_and_given_back(tmp_path, install) -> None:
    trt = install("10.3.0")
    build(tmp_path, timing_cache=tmp_path / "timing.cache")
    build(tmp_path, timing_cache=tmp_path / "timing.cache")
    (first,), (second,) = called(trt, "create_timing_cache")
    assert (first, second.partition(b"\n")[2]) == (b"", b"what was measured")


@pytest.mark.parametrize(("version", "number"), [("8.5.2.2", 8502), ("10.3.0", 100300)])
def test_dla_takes_a_calibration_cache_of_its_own_release(tmp_path, install, version, number) -> None:
    trt = install(version, dla_cores=2)
    cache = f"TRT-{number}-EntropyCalibration2\nimages: 3c010204\n".encode()
    build(tmp_path, "int8", TrtOptions(dla=1), cache=cache)
    made = settings(trt)
    assert made["default_device_type"] is trt.DeviceType.DLA
    assert made["DLA_core"] == 1
    assert [flag.name for (flag,) in called(trt, "set_flag")] == ["INT8", "GPU_FALLBACK"]
    assert called(trt, "create_network") == [(1,)]  # weakly typed: a calibrated network has no types of its own
    calibrator = made["int8_calibrator"]
    assert calibrator.read_calibration_cache() == cache
    assert calibrator.get_batch(["images"]) is None
    assert calibrator.get_batch_size() == 1


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("8.6.2.3", ["FP16", "PREFER_PRECISION_CONSTRAINTS", "GPU_FALLBACK"]),
        ("10.3.0", ["FP16", "PREFER_PRECISION_CONSTRAINTS", "GPU_FALLBACK"]),
        ("11.4.0.106", ["GPU_FALLBACK"]),
    ],
)
def test_half_precision_on_a_dla_is_a_flag_as_long_as_there_are_flags(tmp_path, install, version, flags) -> None:
    """The way that NVIDIA documents for a DLA until 10.x; 11 has strongly typed networks only."""
    trt = install(version, dla_cores=2)
    build(tmp_path, "fp16", TrtOptions(dla=0))
    assert [flag.name for (flag,) in called(trt, "set_flag")] == flags
    assert called(trt, "create_network") == [(1,)]  # explicit batch; in 11 the same bit says strongly typed
    assert not trt._standin.device.faults


@pytest.mark.parametrize(
    ("version", "number"), [("8.5.2.2", 8502), ("8.6.2", 8602), ("10.3.0", 100300), ("10.16.2", 101602)]
)
def test_a_gpu_takes_a_calibration_cache_too(tmp_path, install, version, number) -> None:
    trt = install(version)
    cache = f"TRT-{number}-EntropyCalibration2\nimages: 3c010204\n".encode()
    build(tmp_path, "int8-fp16", TrtOptions(implicit=True), cache=cache)
    made = settings(trt)
    assert "default_device_type" not in made
    assert [flag.name for (flag,) in called(trt, "set_flag")] == ["INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"]
    assert called(trt, "create_network") == [(1,)]
    assert made["int8_calibrator"].read_calibration_cache() == cache


def test_an_engine_of_another_calibration_cache_is_another(tmp_path, install) -> None:
    install("10.3.0", dla_cores=2)
    builder = TrtBuilder(Target.TENSORRT, Precision.INT8, TrtOptions(dla=1))
    source = read_onnx(write_square_model(tmp_path / "squares.onnx"))

    one, two = (b"TRT-100300-EntropyCalibration2\nx: 3c01020%d\n" % number for number in (4, 5))

    def made(cache: bytes) -> BuildReport:
        return build_lowered(source, Lowered(source.model, Precision.INT8, calibration_cache=cache), builder)

    first, again, other = made(one), made(one), made(two)
    assert (first.reused, again.reused, other.reused) == (False, True, False)
    assert first.manifest.options.calibration_cache == bytes_digest(one)


@pytest.mark.parametrize(
    ("options", "do"),
    [
        (TrtOptions(dla=0), r"Use FP16 on the DLA: ssd-edge build --fp16 --dla 0"),
        (TrtOptions(implicit=True), r"Leave out --implicit\."),
    ],
)
def test_release_without_calibrators_says_what_to_do(tmp_path, install, options, do) -> None:
    install("11.4.0.106", dla_cores=2)
    with pytest.raises(InputError, match=rf"does not support calibration caches, which .* needs\. {do}"):
        build(tmp_path, "int8", options)


def test_core_that_is_not_there(tmp_path, install) -> None:
    install("10.3.0", dla_cores=1)
    with pytest.raises(DeviceError, match="there is no DLA core 1: got 1 cores"):
        build(tmp_path, "fp16", TrtOptions(dla=1))


def test_what_the_parser_says_is_quoted_with_advice(tmp_path, install) -> None:
    install("10.3.0", parses=False)
    with pytest.raises(
        ArtifactError, match=r"cannot parse the ONNX: got In node 7: No importer.*Export the model again"
    ):
        build(tmp_path)
    assert not (tmp_path / "a.engine").exists()


def test_what_the_builder_says_is_quoted_with_advice(tmp_path, install) -> None:
    install("10.3.0", builds=False)
    told: list[str] = []
    with pytest.raises(
        ArtifactError,
        match=r"cannot build the network, at layer conv1: got Could not find any impl.*Raise --builder-memory",
    ):
        build(tmp_path, report=told.append)
    assert told == ["Could not find any implementation for node conv1"]


@pytest.mark.parametrize(
    ("version", "precision", "options", "others", "may"),
    [
        ("10.3.0", "int8", TrtOptions(), {}, True),
        ("10.3.0", "fp16", TrtOptions(), {}, True),
        ("10.3.0", "fp16", TrtOptions(dla=0), {}, False),
        ("11.4.0.106", "fp16", TrtOptions(dla=0), {}, True),
        ("8.6.2.3", "int8", TrtOptions(), {}, True),
        ("8.6.2.3", "int8-fp16", TrtOptions(), {}, False),  # flags promise no float32
        ("10.3.0", "fp32", TrtOptions(), {}, False),
        (
            "10.3.0",
            "int8",
            TrtOptions(dla=0),
            {"cache": b"TRT-100300-EntropyCalibration2\nx: 3c010204\n"},
            False,
        ),
    ],
)
def test_keep_float_is_proposed_where_a_build_takes_it(
    tmp_path, install, version, precision, options, others, may
) -> None:
    install(version, builds=False, dla_cores=1)
    with pytest.raises(ArtifactError) as raised:
        build(tmp_path, precision, options, **others)
    assert ("--keep-float" in str(raised.value)) == may
    assert "--builder-memory" in str(raised.value)


def test_what_was_measured_is_kept_though_no_engine_comes(tmp_path, install) -> None:
    cache = tmp_path / "timing.cache"
    install("10.3.0", builds=False)
    with pytest.raises(ArtifactError, match="cannot build the network"):
        build(tmp_path, timing_cache=cache)
    assert cache.is_file()
    cache.unlink()
    install("10.3.0")
    (tmp_path / "a.engine").mkdir()  # cannot be written
    with pytest.raises(OSError, match=r"a\.engine"):
        build(tmp_path, timing_cache=cache)
    assert cache.is_file()


def test_machine_without_gpu_or_without_tensorrt(tmp_path, install, monkeypatch) -> None:
    install("10.3.0")
    monkeypatch.setattr(module, "describe_gpu", lambda: None)
    with pytest.raises(DeviceError, match="must build on the GPU that will run the engine: got no CUDA driver"):
        build(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt")
    with pytest.raises(MissingPackageError, match="tensorrt is not installed"):
        build(tmp_path)


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("step", ["check", "build"])
def test_cuda_that_does_not_start_is_named_with_what_tensorrt_said(tmp_path, install, version, step) -> None:
    install(version, cuda_problem=35)
    builder = TrtBuilder(Target.TENSORRT, Precision.FP32, TrtOptions())
    with pytest.raises(
        DeviceError, match=f"tensorrt {version} cannot start: got CUDA initialization failure with error: 35; "
    ):
        builder.check() if step == "check" else builder.build(square_model(), tmp_path / "a.engine")
    assert not (tmp_path / "a.engine").exists()


def test_manifest_fields(tmp_path, install) -> None:
    install("10.3.0")
    builder = build(tmp_path, options=TrtOptions(opt_level=4))
    assert (builder.device, builder.runtime_version) == ("Orin sm_87", "10.3.0")
    assert builder.options == EngineOptions(opt_level=4, nms="plugin")


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("device", ["agx-orin", "desktop", "orin-nano", "orin-nx", "thor", "xavier"])
def test_device_profiles_ask_for_what_every_release_has(tmp_path, install, version, device) -> None:
    install(version)
    build(tmp_path, options=TrtOptions().on_board(load_profile(device), Target.TENSORRT))
    assert (tmp_path / "a.engine").is_file()


@pytest.mark.parametrize("text", ["", "0", "1:2", "4:2:8", "a", "1:4:8:9", "-1"])
def test_batches_that_are_none(text) -> None:
    with pytest.raises(InputError, match="--batch"):
        Batch.parse(text)


def test_batches() -> None:
    assert Batch.parse("4").sizes == (4, 4, 4)
    assert Batch.parse("1:4:8").sizes == (1, 4, 8)


OUT_OF_RANGE = [
    {"opt_level": 6}, {"opt_level": -1}, {"builder_memory_gib": 0}, {"builder_memory_gib": float("nan")},
    {"builder_memory_gib": 1e30},
]  # fmt: skip


@pytest.mark.parametrize("options", OUT_OF_RANGE)
def test_options_out_of_range(options) -> None:
    with pytest.raises(InputError, match="is out of range"):
        TrtOptions(**options)
