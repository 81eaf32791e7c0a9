"""What TensorRT refuses while it builds, the stand-in refuses too: each misuse here is one that it must notice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.backends.tensorrt.module import plugin_names
from ssd_edge.graph.nms_bodies import inline_function, strip_function
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model
from tools.emulator.standin.device import Paper
from tools.emulator.standin.graph_rules import builder_faults, parser_faults
from tools.emulator.standin.module import make_module
from tools.emulator.standin.releases import NMS_PLUGIN, RELEASES
from tools.emulator.standin.world import Traits

SHAPE = (128, 128, 3)


class Build:
    """A build by hand, as the product would do it where nothing is changed."""

    def __init__(self, release: str, dla_cores: int = 0) -> None:
        self.trt = trt = make_module(release, device=Paper(), traits=Traits(dla_cores=dla_cores))
        self.messages: list[str] = []
        messages = self.messages

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                messages.append(message)

        self.logger = Logger()
        self.plugins = plugin_names(trt, self.logger)
        self.builder = trt.Builder(self.logger)
        members = trt.NetworkDefinitionCreationFlag.__members__
        flags = sum(1 << int(members[name]) for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED") if name in members)
        self.network = self.builder.create_network(flags)
        self.parser = trt.OnnxParser(self.network, self.logger)
        self.config = self.builder.create_builder_config()
        self.profile = self.builder.create_optimization_profile()
        self.profile.set_shape("images", (1, *SHAPE), (2, *SHAPE), (4, *SHAPE))

    def parse(self, model: onnx.ModelProto | None = None) -> bool:
        model = square_model() if model is None else model
        has_nms = NMS_PLUGIN in self.plugins
        if any(node.op_type == NMS_PLUGIN for node in model.graph.node) and model.functions:
            model = strip_function(model) if has_nms else inline_function(model)
        return bool(self.parser.parse(model.SerializeToString()))

    def finish(self) -> Any:
        self.config.add_optimization_profile(self.profile)
        return self.builder.build_serialized_network(self.network, self.config)

    @property
    def said(self) -> str:
        return "\n".join(self.messages)


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_right_is_built(release: str) -> None:
    build = Build(release)
    assert build.parse(), build.said
    plan = build.finish()
    assert plan is not None, build.said
    assert memoryview(plan).nbytes == plan.nbytes > 1000


def unread_field(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == NMS_PLUGIN)
    node.attribute.remove(next(entry for entry in node.attribute if entry.name == "isNormalized"))


def more_kept_than_looked_at(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == NMS_PLUGIN)
    next(entry for entry in node.attribute if entry.name == "keepTopK").i = 2000


def pixels_not_cast(model: onnx.ModelProto) -> None:
    graph = model.graph
    cast = next(node for node in graph.node if node.op_type == "Cast")
    cast.op_type, cast.output[0] = "Transpose", "turned"
    del cast.attribute[:]
    cast.attribute.append(helper.make_attribute("perm", [0, 1, 2, 3]))
    graph.node.insert(1, helper.make_node("Cast", ["turned"], ["pixels"], to=TensorProto.FLOAT))


def mixed_types(model: onnx.ModelProto) -> None:
    entry = next(entry for entry in model.graph.initializer if entry.name == "mean")
    entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry).astype(np.float16), entry.name))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (unread_field, "isNormalized is not set"),
        (more_kept_than_looked_at, "keepTopK <= topK"),
        (pixels_not_cast, "a UINT8 input must be cast"),
        (mixed_types, "[Tt]ype"),
    ],
)
def test_graph_that_is_not_parsed(spoil: Callable[[onnx.ModelProto], None], said: str) -> None:
    build = Build("10.3")
    model = strip_function(square_model())
    spoil(model)
    assert not build.parse(model)
    assert build.parser.num_errors == 1
    assert re.search(said, str(build.parser.get_error(0)))


def zero_point(model: onnx.ModelProto) -> None:
    for entry in model.graph.initializer:
        if entry.data_type == TensorProto.INT8 and len(entry.dims) <= 1:
            entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) + np.int8(1), entry.name))


def negative_scale(model: onnx.ModelProto) -> None:
    scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    entry = next(entry for entry in model.graph.initializer if entry.name in scales)
    entry.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(entry), entry.name))


@pytest.mark.parametrize(
    ("spoil", "said"), [(zero_point, "Non-zero zero point"), (negative_scale, "must all be positive")]
)
def test_ranges_that_are_not_parsed(spoil: Callable[[onnx.ModelProto], None], said: str) -> None:
    build = Build("11.4")
    model = inline_function(quantize(square_model(), table_for(square_model())))
    assert build.parse(model), build.said
    spoil(model)
    assert not build.parse(model)
    assert said in build.said


def test_functions_and_plugins_by_release() -> None:
    whole = square_model()
    for release in RELEASES:
        build = Build(release)
        build.trt._standin.plugins_ready = False  # nobody initialized the library
        known = bool(build.parser.parse(whole.SerializeToString()))
        assert known == (not release.startswith("8.")), release  # 8.x ignores functions, and has no plugin now
        assert known or "could not find plugin: BatchedNMSDynamic_TRT" in build.said
    build = Build("11.4")
    assert not build.parser.parse(strip_function(whole).SerializeToString())
    assert "No importer registered for op: BatchedNMSDynamic_TRT" in build.said


def test_bytes_that_are_no_onnx() -> None:
    build = Build("10.3")
    assert not build.parser.parse(b"\xff\xff nothing")
    assert "MODEL_DESERIALIZE_FAILED" in build.said
    with pytest.raises(TypeError):
        build.parser.parse("text")


def test_networks_of_8_need_an_explicit_batch() -> None:
    build = Build("8.6")
    network = build.builder.create_network(0)
    assert not build.trt.OnnxParser(network, build.logger).parse(strip_function(square_model()).SerializeToString())
    assert "explicit batch" in build.said
    assert build.builder.create_network(1 << 9) is None


def no_profile(build: Build) -> None:
    build.profile._shapes = {}


def profile_out_of_order(build: Build) -> None:
    build.profile.set_shape("images", (4, *SHAPE), (2, *SHAPE), (1, *SHAPE))


def profile_of_another_size(build: Build) -> None:
    build.profile.set_shape("images", *((1, 64, 64, 3),) * 3)


def flags_in_a_typed_network(build: Build) -> None:
    build.config.set_flag(build.trt.BuilderFlag.FP16)


def parser_gone(build: Build) -> None:
    del build.parser


def dla_without_a_core(build: Build) -> None:
    build.config.default_device_type = build.trt.DeviceType.DLA
    build.config.DLA_core = 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_profile, "no shapes in the optimization profile"),
        (profile_out_of_order, "kMIN <= kOPT <= kMAX"),
        (profile_of_another_size, "do not match those of the network"),
        (flags_in_a_typed_network, "not allowed in a strongly typed network"),
        (parser_gone, "owns its weights, is gone"),
        (dla_without_a_core, "DLA core 0 is not available"),
    ],
)
def test_settings_that_are_not_built(spoil: Callable[[Build], None], said: str) -> None:
    build = Build("10.3")
    assert build.parse()
    spoil(build)
    assert build.finish() is None
    assert said in build.said


@pytest.mark.parametrize(
    ("model", "flag", "said"),
    [
        (lambda: to_half(square_model()), "INT8", "fp16 is not configured"),
        (lambda: quantize(square_model(), table_for(square_model()), stored_weights=False), "FP16", "int8 is not conf"),
        (square_model, "INT8", "no scaling factors detected"),
    ],
)
def test_weakly_typed_networks_need_their_flags(model: Any, flag: str, said: str) -> None:
    build = Build("8.6")
    assert build.parse(model()), build.said
    build.config.set_flag(getattr(build.trt.BuilderFlag, flag))
    assert build.finish() is None
    assert said in build.said


def test_dla_needs_a_fallback_and_half_or_int8() -> None:
    build = Build("10.3", dla_cores=1)
    assert build.parse()
    build.config.default_device_type, build.config.DLA_core = build.trt.DeviceType.DLA, 0
    build.profile.set_shape("images", *((1, *SHAPE),) * 3)
    assert build.finish() is None
    assert "GPU_FALLBACK is not set" in build.said
    build.config.set_flag(build.trt.BuilderFlag.GPU_FALLBACK)
    assert build.finish() is None
    assert "DLA supports FP16 and INT8 only" in build.said


def test_values_of_a_wrong_type_and_names_that_are_not_there() -> None:
    build = Build("10.3")
    with pytest.raises(TypeError, match="incompatible function arguments"):
        build.config.profiling_verbosity = 2
    with pytest.raises(TypeError, match="incompatible function arguments"):
        build.config.set_flag(3)
    with pytest.raises(AttributeError, match="no attribute 'max_workspace_sice'"):
        build.config.max_workspace_sice = 1
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        build.trt.Builder(object())

    class Forgetful(build.trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:  # without ILogger.__init__
            pass

    with pytest.raises(TypeError, match="was not called"):
        build.trt.Builder(Forgetful())
    with pytest.raises(TypeError, match="was not called"):
        build.trt.Runtime(Forgetful())


def test_a_timing_cache_of_another_release_or_device() -> None:
    first = Build("10.3")
    cache = first.config.create_timing_cache(b"")
    cache._content = b"measured"
    kept = bytes(memoryview(cache.serialize()))
    other = Build("10.16")
    assert other.config.create_timing_cache(kept)._content == b""
    assert "will not be used" in other.said
    moved = Build("10.3")
    moved.trt._standin.device._capability = 72
    taken = moved.config.create_timing_cache(kept)
    assert not moved.config.set_timing_cache(taken, False)
    assert moved.config.set_timing_cache(taken, True)
    assert first.config.set_timing_cache(first.config.create_timing_cache(kept), False)


@pytest.mark.parametrize(("most", "faults"), [(3840, 0), (3841, 1)])
def test_too_many_candidates_for_top_k(most: int, faults: int) -> None:
    model = inline_function(square_model())
    node = next(node for node in model.graph.node if node.op_type == "TopK")
    model.graph.initializer.append(numpy_helper.from_array(np.array([most], np.int64), "most"))
    node.input[1] = "most"
    assert [fault.endswith("K of a TopK layer is at most 3840") for fault in builder_faults(model, "10.3")] == (
        [True] * faults
    )


def test_rtx_has_no_kernel_for_onnx_nms() -> None:
    graph = helper.make_graph(
        [helper.make_node(op, ["a"], ["b"]) for op in ("NonZero", "NonMaxSuppression")], "g", [], []
    )
    model = helper.make_model(graph)
    assert "NonZero" in next(iter(parser_faults(model, "rtx")))[1]
    assert "no runners" in next(iter(builder_faults(model, "rtx")))
    assert list(builder_faults(model, "10.3")) == []
