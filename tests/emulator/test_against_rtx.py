"""The stand-in of TensorRT-RTX beside the real one, whose parser and builder need no GPU: both refuse the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.graph.nms_bodies import inline_function, write_out_rounds
from ssd_edge.quantization.qdq_tensorrt import quantize
from tests.emulator.test_refusals import SHAPE, mixed_types, pixels_not_cast
from tests.quantization.fake_table import table_for
from tests.quantization.square_model import square_model
from tools.emulator.standin.device import Paper
from tools.emulator.standin.module import make_module
from tools.emulator.standin.world import Traits

real = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt-rtx is not installed: pip install 'ssd-edge[rtx]'")
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
BATCHES: Shapes = ((1, *SHAPE), (2, *SHAPE), (4, *SHAPE))
TWO = (2, *SHAPE)


def as_it_is(model: onnx.ModelProto) -> None:
    """Spoil nothing."""


def zero_point(model: onnx.ModelProto) -> None:
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    del first.input[2:]
    first.input.append("three")
    model.graph.initializer.append(numpy_helper.from_array(np.int8(3), "three"))


def negative_scale(model: onnx.ModelProto) -> None:
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    scale = next(entry for entry in model.graph.initializer if entry.name == first.input[1])
    scale.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(scale), scale.name))


def non_zero(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("NonZero", ["boxes"], ["found"]))
    model.graph.output.append(helper.make_tensor_value_info("found", TensorProto.INT64, None))


def outcome(trt: Any, model: onnx.ModelProto, shapes: Shapes | None, static: tuple[int, ...] | None) -> str:
    """Parse and build for SM86, as the product does; say how far it came."""

    class Silent(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            pass

    logger = Silent()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        return "not parsed"
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    if static is not None:
        network.get_input(0).shape = static
    if shapes is not None:
        profile = builder.create_optimization_profile()
        profile.set_shape("images", *shapes)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return "not built" if plan is None else "built"


SMALL: Shapes = ((1, 64, 64, 3),) * 3
FLAT: Shapes = ((1, *SHAPE[:2]),) * 3
FALLING: Shapes = ((3, *SHAPE), (2, *SHAPE), (4, *SHAPE))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "shapes", "static", "wanted"),
    [
        (as_it_is, BATCHES, None, "built"),
        (as_it_is, (TWO, TWO, TWO), TWO, "built"),
        (as_it_is, None, TWO, "built"),
        (as_it_is, BATCHES, TWO, "not built"),
        (as_it_is, None, None, "not built"),
        (as_it_is, FALLING, None, "not built"),
        (as_it_is, SMALL, None, "not built"),
        (as_it_is, FLAT, None, "not built"),
        (pixels_not_cast, BATCHES, None, "not parsed"),
        (mixed_types, BATCHES, None, "not parsed"),
        (zero_point, BATCHES, None, "not parsed"),
        (negative_scale, BATCHES, None, "not parsed"),
        (non_zero, BATCHES, None, "not parsed"),
    ],
)
def test_both_come_equally_far(
    spoil: Callable[[onnx.ModelProto], None], shapes: Shapes | None, static: tuple[int, ...] | None, wanted: str
) -> None:
    model = inline_function(write_out_rounds(quantize(square_model(), table_for(square_model())), 16))
    spoil(model)
    standin = make_module("rtx", device=Paper(), traits=Traits())
    assert outcome(standin, model, shapes, static) == wanted
    assert outcome(real, model, shapes, static) == wanted


SIZES = [1 << 30, 3 << 30, (1 << 30) + 4096, 4096, 2048]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pool", ["WORKSPACE", "TACTIC_DRAM"])
def test_a_memory_pool_takes_the_same_sizes(pool: str, size: int) -> None:
    taken = []
    for trt in (make_module("rtx", device=Paper(), traits=Traits()), real):
        logger = trt.Logger(trt.ILogger.INTERNAL_ERROR)
        config = trt.Builder(logger).create_builder_config()
        config.set_memory_pool_limit(getattr(trt.MemoryPoolType, pool), size)
        taken.append(config.get_memory_pool_limit(getattr(trt.MemoryPoolType, pool)) == size)
    assert taken[0] == taken[1] == (pool == "WORKSPACE" or (size >= 4096 and size.bit_count() == 1))
